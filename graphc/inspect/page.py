"""One page of HTML: data, style and program in one file that runs nothing but its own program."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_FILES = files("graphc.inspect") / "page"
#: The program, in the order in which it is read.
_SCRIPTS = (
    "data.js",
    "dom.js",
    "table.js",
    "canvas.js",
    "summary.js",
    "passes.js",
    "kernels.js",
    "memory.js",
    "pebbles.js",
    "main.js",
)


def page(record: Mapping[str, Any]) -> str:
    """The report of a step. Each part of the data is an element of its own, read when it is shown.

    Text of the user's is data everywhere: JSON in which no tag can begin, put on the page as text.
    The page's policy lets no script run but this one, and nothing be loaded.
    """
    script = "\n".join(_text(name) for name in _SCRIPTS)
    parts = "\n".join(
        f'<script type="application/json" id="data-{name}">{inert(part)}</script>'
        for name, part in record.items()
    )
    text = _text("page.html")
    title = html.escape(str(record["summary"]["step"]))
    # The data last: what it holds is not looked at for marks.
    return put(text, TITLE=title, DIGEST=digest(script), STYLE=_text("page.css"), SCRIPT=script,
               DATA=parts)  # fmt: skip


def put(text: str, **parts: str) -> str:
    """A page with its parts in place of their marks, one after the other."""
    for mark, content in parts.items():
        text = text.replace(f"<!--{mark}-->", content, 1)
    return text


def digest(script: str) -> str:
    """What a page's policy calls a script that stands on lines of its own."""
    return base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode()


def inert(value: Any) -> str:
    """JSON that may stand inside a script element: `<` and `>` only as escapes."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8").rstrip("\n")
