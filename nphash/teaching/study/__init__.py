"""Claims about gradient estimators, measured: `run` a study, read its `answer`.

The exact gradient of the expected reconstruction loss is a sum over all codes, for codes short enough, so
that bias, variance and direction of every estimator can be measured against it: on two toys, and on a small
Doc2hash fitted on the docstrings of installed packages, at several points of its training.
"""

from __future__ import annotations

from nphash.teaching.study.answering import answer, format_table
from nphash.teaching.study.measuring import FIGURES, Row, StudyResults, StudySettings, run

__all__ = ["FIGURES", "Row", "StudyResults", "StudySettings", "answer", "format_table", "run"]
