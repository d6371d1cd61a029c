"""Loop IR to C text. It knows statements and expressions, and no operator."""

from __future__ import annotations

import math
from collections.abc import Iterator

from graphc.dtypes import DType
from graphc.ir.expr import INDEX, Binary, Call, Cast, Const, Expr, Load, Select, Unary, Var
from graphc.ir.loops import (
    Accumulate,
    Array,
    Assign,
    Barrier,
    Break,
    Comment,
    Declare,
    Do,
    For,
    Function,
    If,
    Let,
    Numbers,
    Only,
    Param,
    Pointer,
    Share,
    Stmt,
    Store,
    While,
)

_PRECEDENCE = {
    "*": 11, "/": 11, "%": 11, "+": 10, "-": 10, "<<": 9, ">>": 9, "<": 8, "<=": 8, ">": 8,
    ">=": 8, "==": 7, "!=": 7, "&": 6, "^": 5, "|": 4, "&&": 3, "||": 2,
}  # fmt: skip
_UNARY, _TERNARY, _ATOM = 12, 1, 14
#: C operators whose mixing needs parentheses for gcc's -Wparentheses and for the reader.
_LOGICAL = frozenset(("&", "^", "|", "&&", "||", "<<", ">>", "==", "!=", "<", "<=", ">", ">="))
_UNSIGNED = {"int32": "uint32_t", "int64": "uint64_t"}


def function(f: Function) -> str:
    """A whole function, with its comment."""
    lines = []
    if f.comment:
        lines.append("/* " + f.comment[0])
        lines.extend(" * " + line if line else " *" for line in f.comment[1:])
        lines[-1] += " */"
    lines.extend(wrapped(f"static void {f.name}(", [*map(_param, f.params), "gx_thread t"], ")"))
    lines.append("{")
    used = list(_block(f.body, 1))
    if not any("t)" in line or "t.id" in line for line in used):
        lines.append("    (void)t;")
    lines.extend(used)
    lines.append("}")
    return "\n".join(lines) + "\n"


def comment_text(text: str) -> str:
    """Text of a user's made safe inside a comment: printable ASCII, no comment ends or begins."""
    safe = "".join(c if 32 <= ord(c) < 127 else f"\\u{ord(c):04x}" for c in text[:200])
    return safe.replace("*/", "* /").replace("/*", "/ *").replace("\\\n", " ").replace("??", "? ?")


def wrapped(head: str, parts: list[str], tail: str, width: int = 98) -> list[str]:
    """`head part, part, … tail` over several lines, continued under the first part."""
    lines = []
    line = head
    for k, part in enumerate(parts):
        text = part + (", " if k + 1 < len(parts) else tail)
        if len(line) + len(text.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = " " * len(head)
        line += text
    lines.append(line.rstrip() if parts else head + tail)
    return lines


def _param(p: Param) -> str:
    if not p.pointer:
        return f"{p.dtype.c} {p.name}"
    const = "const " if p.readonly else ""
    restrict = "restrict " if p.restrict else ""
    return f"{const}{p.dtype.c} *{restrict}{p.name}"


def _block(body: list[Stmt], depth: int) -> Iterator[str]:
    for stmt in body:
        yield from _stmt(stmt, depth)


def _stmt(s: Stmt, depth: int) -> Iterator[str]:
    pad = "    " * depth
    match s:
        case For(var, begin, end, body, step):
            name = var.name
            advance = f"{name}++" if step == 1 else f"{name} += {step}"
            head = (
                f"for (int64_t {name} = {expression(begin)}; {name} < {expression(end)}; {advance})"
            )
            yield from _braced(pad + head, body, depth)
        case If(condition, body, otherwise):
            yield from _braced(f"{pad}if ({expression(condition)})", body, depth)
            if len(otherwise) == 1 and isinstance(otherwise[0], If):
                first, *rest = _stmt(otherwise[0], depth)
                yield f"{pad}else {first.lstrip()}"
                yield from rest
            elif otherwise:
                yield from _braced(f"{pad}else", otherwise, depth)
        case While(condition, body):
            yield from _braced(f"{pad}while ({expression(condition)})", body, depth)
        case Only(body):
            yield from _braced(f"{pad}if (t.id == 0)", body, depth)
        case Let(var, value):
            yield f"{pad}const {var.dtype.c} {var.name} = {expression(value)};"
        case Declare(var, value):
            yield f"{pad}{var.dtype.c} {var.name} = {expression(value)};"
        case Assign(var, value):
            yield f"{pad}{var.name} = {expression(value)};"
        case Array(name, dtype, size):
            yield f"{pad}_Alignas(64) {dtype.c} {name}[{size}];"
        case Numbers(name, values):
            head = f"{pad}static const int64_t {name}[] = {{"
            yield from wrapped(head, [str(v) for v in values], "};")
        case Pointer(name, dtype, base, offset, readonly):
            const = "const " if readonly else ""
            yield f"{pad}{const}{dtype.c} *{name} = {address(base, offset)};"
        case Store(buffer, offset, value):
            yield f"{pad}{buffer}[{expression(offset)}] = {expression(value)};"
        case Accumulate(buffer, offset, value):
            yield f"{pad}{buffer}[{expression(offset)}] += {expression(value)};"
        case Do(name, arguments):
            texts = [a if isinstance(a, str) else expression(a) for a in arguments]
            yield from wrapped(f"{pad}{name}(", texts, ");")
        case Share(name, extent, grain):
            yield f"{pad}const gx_range {name} = gx_share({expression(extent)}, {grain}, t);"
        case Barrier():
            yield f"{pad}gx_barrier_wait(t);"
        case Break():
            yield f"{pad}break;"
        case Comment(text):
            yield f"{pad}/* {text} */"
        case _:
            raise TypeError(f"no C for {type(s).__name__}")


def _braced(head: str, body: list[Stmt], depth: int) -> Iterator[str]:
    lines = list(_block(body, depth + 1))
    if len(lines) == 1 and not isinstance(body[0], (Let, Declare)):
        yield head
        yield from lines
        return
    yield head + " {"
    yield from lines
    yield "    " * depth + "}"


def address(base: str, offset: Expr) -> str:
    """`base + offset` as a pointer."""
    if isinstance(offset, Const) and offset.value == 0:
        return base
    return (
        f"{base} + {_print(offset, _PRECEDENCE['+'] + 1)}"
        if _is_sum(offset)
        else (f"{base} + {expression(offset)}")
    )


def _is_sum(e: Expr) -> bool:
    return isinstance(e, Binary) and e.op == "-"


def expression(e: Expr) -> str:
    return _print(e, 0)


def _print(e: Expr, outer: int) -> str:
    """An expression in a context that binds with strength `outer`."""
    match e:
        case Var():
            return e.name
        case Const():
            return literal(e.value, e.dtype)
        case Load():
            return f"{e.buffer}[{expression(e.offset)}]"
        case Call():
            return f"{e.function}({', '.join(expression(a) for a in e.arguments)})"
        case Cast() if e.operand.dtype.c == e.dtype.c:
            return _print(e.operand, outer)
        case Cast():
            text, strength = _cast(e), _UNARY
        case Unary():
            text, strength = _unary(e), _UNARY
        case Select():
            parts = (_print(e.condition, 2), _print(e.yes, 2), _print(e.no, _TERNARY))
            text, strength = "{} ? {} : {}".format(*parts), _TERNARY
        case Binary():
            return _binary(e, outer)
        case _:
            raise TypeError(f"no C for {type(e).__name__}")
    return f"({text})" if strength < outer else text


def _cast(e: Cast) -> str:
    if e.dtype.kind == "b":
        return f"{_print(e.operand, _UNARY)} != 0"
    return f"({e.dtype.c}){_print(e.operand, _UNARY)}"


def _unary(e: Unary) -> str:
    inner = _print(e.operand, _UNARY)
    wide = _UNSIGNED.get(e.dtype.name)
    if e.op == "-" and wide is not None:
        return f"({e.dtype.c})(0 - ({wide}){inner})"
    if e.dtype.kind == "u" and e.op in "-~":
        return f"({e.dtype.c}){e.op}{inner}"
    return f"{e.op} {inner}" if inner.startswith(e.op) else f"{e.op}{inner}"


def _binary(e: Binary, outer: int) -> str:
    e = _subtraction(e)
    strength = _PRECEDENCE[e.op]
    wide = _UNSIGNED.get(e.left.dtype.name)
    if e.op in "+-*" and wide is not None:
        # Signed tensors wrap: computed in the unsigned type.
        left, right = _print(e.left, _UNARY), _print(e.right, _UNARY)
        return f"({e.dtype.c})(({wide}){left} {e.op} ({wide}){right})"
    left = _side(e.left, e.op, strength)
    right = _side(e.right, e.op, strength + 1)
    text = f"{left} {e.op} {right}"
    if e.dtype.name in ("uint8", "uint32") and e.op in "+-*" and e.dtype.itemsize < 4:
        return f"({e.dtype.c})({text})"
    return f"({text})" if strength < outer else text


def _subtraction(e: Binary) -> Binary:
    """a + -c as a - c, and a + -c·b as a - c·b: the same bits, without the second sign."""
    if e.op == "+" and (e.dtype is INDEX or e.dtype.is_float):
        match e.right:
            case Const(_, value) if value < 0:
                return Binary(e.dtype, "-", e.left, Const(e.dtype, -value))
            case Binary(_, "*", Const(_, value), factor) if value < 0:
                term = Binary(e.dtype, "*", Const(e.dtype, -value), factor)
                return Binary(e.dtype, "-", e.left, term)
    return e


def _side(e: Expr, op: str, strength: int) -> str:
    text = _print(e, strength)
    if isinstance(e, Binary) and e.op != op and op in _LOGICAL and e.op in _LOGICAL:
        return text if _PRECEDENCE[e.op] < strength else f"({text})"
    return text


def literal(value: object, dtype: DType) -> str:
    """A constant that C reads back to the same bits."""
    if dtype is INDEX:
        return str(int(value))  # type: ignore[call-overload]
    if dtype.kind == "b":
        return "1" if value else "0"
    if dtype.is_float:
        return _float_literal(float(value), str(value), dtype)  # type: ignore[arg-type]
    number = int(value)  # type: ignore[call-overload]
    if dtype.name == "int32":
        return "INT32_MIN" if number == -(2**31) else str(number)
    if dtype.name == "int64":
        if number == -(2**63):
            return "INT64_MIN"
        return str(number) if abs(number) < 2**31 else f"INT64_C({number})"
    return f"{number}u"


def _float_literal(number: float, shortest: str, dtype: DType) -> str:
    if math.isnan(number):
        return "NAN"
    if math.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    text = shortest if any(c in shortest for c in ".en") else shortest + ".0"
    return text + ("f" if dtype.itemsize == 4 else "")
