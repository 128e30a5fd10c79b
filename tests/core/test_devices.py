"""Switches of devices, and that every one that a benchmark switches is one that the package asks for."""

import os
import re
import subprocess
import sys

import pytest

from benchmarks.devices import DEVICES
from helpers.paths import ROOT
from nphash.core.devices import uses


def test_a_device_is_used_unless_the_environment_says_otherwise():
    assert uses("background")
    program = "from nphash.core.devices import uses; print(uses('background'), uses('cache'), uses('fused'))"
    environment = {**os.environ, "NPHASH_WITHOUT": "background,fused"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert run.stdout.split() == [b"False", b"True", b"False"]


def test_the_switches_of_the_package_are_those_that_are_measured():
    asked = {
        name
        for path in (ROOT / "nphash").rglob("*.py")
        for name in re.findall(r'uses\("([a-z-]+)"\)', path.read_text(encoding="utf-8"))
    }
    assert asked == set(DEVICES)


@pytest.mark.compiled
@pytest.mark.parametrize("device", [name for name in DEVICES if name != "cache"])
def test_without_a_device_training_ends_where_it_ends_with_it(device, tmp_path):
    program = """
import numpy as np
from helpers import small
from nphash.hashers.doc2hash import Doc2Hash
from nphash.hashers.training.trainer import Training
X = small.unit_rows(small.documents(200, 300)[0]).astype(np.float32)
how = Training(epochs=3, batch_size=5, engine="numba", validation_share=0.0)
print(repr(Doc2Hash(16, hidden=(20,), training=how, random_state=0, threads=2).fit(X).history_[-1]["loss"]))
"""
    losses = []
    for switched_off in ("", device):
        environment = {**os.environ, "NPHASH_WITHOUT": switched_off, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        losses.append(float(run.stdout))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
