"""From the pattern of a wrong gradient to its likely cause, with the evidence for it.

Every suspicion is a function that looks at the findings and returns (cause, evidence) or None.
They are asked in the order of how much a match would prove: an exact relation between all analytic
and numeric derivatives comes before a pattern in where they differ.
"""

from __future__ import annotations

from collections.abc import Callable

from nphash.gradcheck import patterns, relations
from nphash.gradcheck.findings import Findings, Suspicion

__all__ = ["diagnose"]

_SUSPICIONS: tuple[Callable[[Findings], Suspicion], ...] = (
    relations.nothing_arrives,
    relations.constant_ratio,
    relations.terms_of_the_loss,
    relations.transposed,
    relations.swapped,
    relations.weight_decay,
    patterns.right_size_wrong_sign,
    patterns.one_slice,
    relations.factor_of_entries,
    relations.surplus_array,
    relations.linear_layer,
    patterns.softmax_axis,
    patterns.softmax_sum,
    relations.another_constant,
    relations.another_function,
    patterns.elementwise,
)


def diagnose(findings: Findings) -> tuple[str, str]:
    """Return the likely cause of a wrong gradient and the evidence for it."""
    for suspicion in _SUSPICIONS:
        found = suspicion(findings)
        if found:
            return found
    a, n = findings.a[findings.wrong[findings.kept]], findings.n[findings.wrong[findings.kept]]
    ratios = a[n != 0] / n[n != 0]
    spread = f", analytic / numeric from {ratios.min():.4g} to {ratios.max():.4g}" if len(ratios) else ""
    return "only located", f"{len(a)} of {len(findings.n)} entries are wrong{spread}"
