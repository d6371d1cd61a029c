"""Positions for boxes and arrows in layers: Sugiyama's method, by grandalf."""

from __future__ import annotations

from functools import lru_cache

from grandalf.graphs import Edge, Graph, Vertex
from grandalf.layouts import SugiyamaLayout

#: A box and the room around it, in pixels.
WIDTH, HEIGHT = 190, 44
GAP_X, GAP_Y = 26, 40
#: Parts of a picture that nothing connects stand beside one another up to this width.
_ROW = 6 * (WIDTH + GAP_X)


class _Box:
    """What grandalf wants to know of a vertex, and where it puts it."""

    def __init__(self) -> None:
        self.w, self.h = WIDTH, HEIGHT
        self.xy = (0.0, 0.0)


@lru_cache(maxsize=4096)
def layered(count: int, edges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The upper left corner of each of `count` boxes; edges lead downwards and are acyclic."""
    vertices = [Vertex(k) for k in range(count)]
    graph = Graph(vertices, [Edge(vertices[a], vertices[b]) for a, b in edges])
    corners: dict[int, tuple[int, int]] = {}
    x = y = tallest = 0
    for part in graph.C:
        placed = _part(part)
        wide = max(left for left, _ in placed.values()) + WIDTH
        high = max(top for _, top in placed.values()) + HEIGHT
        if x and x + wide > _ROW:
            x, y, tallest = 0, y + tallest + GAP_Y, 0
        corners.update({k: (x + left, y + top) for k, (left, top) in placed.items()})
        x, tallest = x + wide + GAP_X, max(tallest, high)
    return tuple(corners[k] for k in range(count))


def _part(part) -> dict[int, tuple[int, int]]:
    """Corners in one connected part, from (0, 0) on."""
    for vertex in part.sV:
        vertex.view = _Box()
    if len(part.sV) > 1:
        method = SugiyamaLayout(part)
        method.xspace, method.yspace = GAP_X, GAP_Y
        method.init_all(roots=[v for v in part.sV if not v.e_in()])
        method.draw(3)
    corners = {
        v.data: (round(v.view.xy[0] - WIDTH / 2), round(v.view.xy[1] - HEIGHT / 2)) for v in part.sV
    }
    left = min(x for x, _ in corners.values())
    top = min(y for _, y in corners.values())
    return {k: (x - left, y - top) for k, (x, y) in corners.items()}
