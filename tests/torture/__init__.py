"""Suites that look for lost, half or falsified data by brute force; ``python tests/torture`` runs them.

A suite is a module with ``run(job)``, the number of ``UNIT`` that the long run is to reach, ``ASKED``, and a
reason in ``SKIPPED`` where this machine cannot run it.
"""

import contextlib
import importlib
import time

from helpers.collecting import LeanSignHash, SignHash, registered
from torture.common import Job

SUITES = ["kills", "faults", "disks", "damage", "hostile", "inputs", "power", "readers", "soak", "resume"]


def run_suite(name, folder, **options):
    """Run one suite and return its figures."""
    suite = importlib.import_module(f"torture.{name}")
    job = Job(folder, unit=suite.UNIT, **options)
    result = {"what": suite.UNIT, "asked": suite.ASKED, "reached": 0, "failures": [], "counts": job.counts}
    if reason := getattr(suite, "SKIPPED", ""):
        return {**result, "skipped": reason}
    started = time.monotonic()
    with registered(sign=SignHash, lean_sign=LeanSignHash), contextlib.suppress(KeyboardInterrupt):
        suite.run(job)
    reached = job.counts.get(suite.UNIT, 0)
    result |= {"reached": reached, "failures": job.failures, "seconds": round(time.monotonic() - started)}
    return {**result, **job.figures, "seed": job.seed}
