"""Where things are."""

import os
from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
# The measuring corpora, which are no part of the project; `benchmarks.corpora` makes them.
DATA = Path(os.environ.get("NPHASH_DATA") or ROOT.parent / "shared" / "data")
