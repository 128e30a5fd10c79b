"""The first compilation is logged, and only that."""

import logging

import pytest

from nphash.core.jit import compiler, jit


@pytest.mark.compiled
@pytest.mark.parametrize("cached, says", [(True, "compiling kernels, once"), (False, "compiling kernels")])
def test_the_first_compilation_is_logged(caplog, monkeypatch, cached, says):
    from nphash.core.jit.announcing import announce

    monkeypatch.setattr(compiler, "_use_cache", False)  # or it would come from there
    with caplog.at_level(logging.INFO, "nphash"):
        jit()(lambda a: a + 1)(2)  # whatever was listening before has heard it
        caplog.clear()
        announce(cached)
        jit()(lambda a: a + 2)(2)
        jit()(lambda a: a + 3)(2)
    assert caplog.messages == [says]
