"""Tables as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Container, Sequence


def text_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Container[int] = (),
    widest: int = 60,
) -> str:
    """Aligned columns, those of `right` to the right; longer cells than `widest` are cut, but for
    the last column's.
    """
    last = len(head) - 1
    widths = [min(widest, max(len(row[c]) for row in (head, *rows))) for c in range(last)]
    lines = []
    for row in (head, *rows):
        cells = [shortened(row[c], widths[c]) for c in range(last)]
        placed = [
            cell.rjust(width) if c in right else cell.ljust(width)
            for c, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join([*placed, row[last]]).rstrip())
    return "\n".join(lines)


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for notebooks, which scrolls where it is long; the cells are text."""
    body = "".join(_row("td", row) for row in rows)
    table = f"<table><thead>{_row('th', head)}</thead><tbody>{body}</tbody></table>"
    return f'<div style="max-height: 32em; overflow: auto">{table}</div>'


def _row(kind: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(_cell(kind, c) for c in cells)}</tr>"


def _cell(kind: str, text: str) -> str:
    # Notebooks have all cells at the right, where numbers belong.
    number = text.replace(",", "").replace(".", "").rstrip("%").isdigit()
    style = "" if number else ' style="text-align: left"'
    return f"<{kind}{style}>{html.escape(text)}</{kind}>"
