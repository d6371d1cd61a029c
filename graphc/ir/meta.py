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
    `early` is the node of a backward pass that this one computes already in the forward pass;
    `merged` are the origins of equal nodes that this one serves as well.
    """

    __slots__ = (
        "clone", "early", "gradient_of", "merged", "name", "region", "rule", "site", "stands_for"
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
        self.merged: dict[Meta, None] | None = None

    def part(self) -> Meta:
        """The origin of a node that is part of what replaces the node of this one."""
        return Meta(self.site, self.rule, self.name, self.clone, self.region, self.gradient_of)

    def family(self) -> list[Meta]:
        """This origin, that of what it stands for, and those of equal nodes merged into these."""
        found: dict[Meta, None] = {}
        stack = [self]
        while stack:
            meta = stack.pop()
            if meta not in found:
                found[meta] = None
                stack.extend(meta.merged or ())
                stack.extend([meta.stands_for.meta] if meta.stands_for else ())
        return list(found)

    def sites(self) -> list[sites.Site]:
        """The user's line, and those of equal nodes that were merged into this one."""
        found = [meta.site for meta in self.family() if meta.site is not None]
        return list(dict.fromkeys(found))


def stand_in(node: Node, other: Node, since: int) -> None:
    """Notes that another node gives the result of this one: made for it, after `since`, or equal to
    it and there before.
    """
    meta = other.meta
    if meta is node.meta:
        return
    if other.serial > since:
        meta.stands_for = meta.stands_for or node.written
    elif node.inputs and other.op == node.op:
        meta.merged = meta.merged or {}
        meta.merged[node.meta] = None
