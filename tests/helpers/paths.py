"""Where things are."""

from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
SOLUTIONS = Path(__file__).parent / "solutions"  # of the exercises
DATA = ROOT.parent / "shared" / "data"  # the measuring corpora, which are no part of the project
