"""Mistakes that a graph shows before it runs: line, cause, remedy.

Each rule is a function of its own that looks at the graph as written. A rule speaks only where a
pattern is a mistake in nearly every program: a model without mistakes gets no finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphc.ir.graph import Node
from graphc.lint.finding import Finding, Rule, Subject
from graphc.lint.gradients import disconnected_gradient, infinite_gradient, root_at_zero
from graphc.lint.precision import accidental_float64
from graphc.lint.randomness import dropout_at_inference
from graphc.lint.shapes import label_out_of_range, outer_difference
from graphc.lint.softmax import log_of_softmax, log_of_sum_of_exp, softmax_over_batch
from graphc.lint.statistics import variance_of_one

__all__ = ["RULES", "Finding", "lint"]

RULES: tuple[Rule, ...] = (
    log_of_softmax,
    log_of_sum_of_exp,
    softmax_over_batch,
    outer_difference,
    label_out_of_range,
    accidental_float64,
    disconnected_gradient,
    infinite_gradient,
    root_at_zero,
    variance_of_one,
    dropout_at_inference,
)


def lint(traced: Any) -> list[Finding]:
    """The findings of all rules in a traced step, in the order of the program; the same mistake of
    the same line once.
    """
    subject = Subject(traced.graph)
    found: dict[tuple[str, str], tuple[int, Finding]] = {}
    for node, finding in _all(subject):
        found.setdefault((finding.rule, finding.line), (node.serial, finding))
    return [finding for _, finding in sorted(found.values(), key=lambda pair: pair[0])]


def _all(subject: Subject) -> Iterator[tuple[Node, Finding]]:
    for rule in RULES:
        for node, cause, remedy in rule(subject):
            site = node.meta.site
            line = "" if site is None else str(site)
            path = "" if site is None else site.filename
            yield node, Finding(rule.__name__.replace("_", "-"), line, path, cause, remedy)
