"""Figures of retrieval, ties and relevance."""

from nphash.metrics.retrieval import (
    code_statistics,
    precision_at_k,
    retrieval,
    retrieval_by_similarity,
)

__all__ = ["code_statistics", "precision_at_k", "retrieval", "retrieval_by_similarity"]
