"""Fixtures shared by all tests."""

import signal

import hypothesis
import numpy as np
import pytest

from nphash.core.threads import single_threaded_blas

# A busy machine is no failure: time decides no test, here neither.
hypothesis.settings.register_profile("nphash", deadline=None)
hypothesis.settings.load_profile("nphash")


def pytest_configure(config):
    """Heed Ctrl-C: what a shell starts in the background ignores it, and so would all the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Skip tests of compiled kernels where nothing is compiled."""
    marked = [item for item in items if item.get_closest_marker("compiled")]
    if not marked:  # loading Numba takes a moment
        return
    from nphash.core.jit import COMPILED

    if not COMPILED:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="kernels are not compiled here"))


@pytest.fixture
def rng():
    """A generator with a fixed seed: a failing test fails again."""
    return np.random.default_rng(20190603)


@pytest.fixture
def one_blas_thread():
    """Let BLAS use one thread, as it does wherever kernels share its work themselves."""
    with single_threaded_blas():
        yield
