"""Retrieval figures with ties, statistics of codes, and relevance."""

from nphash.metrics.ranking import code_statistics, precision_at_k, retrieval, retrieval_by_similarity

__all__ = ["code_statistics", "precision_at_k", "retrieval", "retrieval_by_similarity"]
