"""Where a node comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.ir import site as sites

if TYPE_CHECKING:
    from graphc.ir.graph import Node


class Meta:
    """What is remembered about the origin of a node; passes hand it on unchanged.

    `rule` is the forward node whose derivative rule made this one (None for the user's own);
    `name` the user's name; `clone` is non-zero on recomputed copies, so that common-subexpression
    elimination does not merge them with their originals; `region` is the number of the checkpointed
    call inside which the node was made (0: none), whose values are recomputed rather than kept;
    `gradient_of` marks the gradient by the node that has this origin; `stands_for` is the node as
    written whose result a pass found another way to compute, on the node that gives this result;
    `early` is the node of a backward pass that this one computes already in the forward pass.
    """

    __slots__ = (
        "clone", "early", "gradient_of", "name", "region", "rule", "site", "stands_for"
    )  # fmt: skip

    def __init__(
        self,
        site: sites.Site | None,
        rule: Node | None = None,
        name: str | None = None,
        clone: int = 0,
        region: int = 0,
        gradient_of: Meta | None = None,
        stands_for: Node | None = None,
    ):
        self.site = site
        self.rule = rule
        self.name = name
        self.clone = clone
        self.region = region
        self.gradient_of = gradient_of
        self.stands_for = stands_for
        self.early: Node | None = None

    def part(self) -> Meta:
        """The origin of a node that is part of what replaces the node of this one."""
        return Meta(self.site, self.rule, self.name, self.clone, self.region, self.gradient_of)
