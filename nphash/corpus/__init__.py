"""Readers: from files of many formats to documents or matrices, streamed and checked."""

from __future__ import annotations

from nphash.corpus.read import FORMATS, detect_format, is_matrix, read_documents, read_matrix
from nphash.corpus.records import Document, Matrix, ReadOptions, label_matrix
from nphash.corpus.shards import Shards, vectorize

__all__ = ["FORMATS", "Document", "Matrix", "ReadOptions", "Shards", "detect_format", "is_matrix"]
__all__ += ["label_matrix", "read_documents", "read_matrix", "vectorize"]
