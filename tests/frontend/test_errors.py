"""What cannot work says what to write instead, and at which line of the user's file."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc as gx

HERE = r"   \(test_errors\.py:\d+\)$"


def line_of(error: pytest.ExceptionInfo) -> int:
    return int(re.search(r"test_errors\.py:(\d+)\)$", str(error.value))[1])


CASES = {
    "bool": (lambda t: bool(t), r"gx\.where\(condition, a, b\).*gx\.cond"),
    "if": (lambda t: 1 if t > 0 else 2, r"gx\.where"),
    "float": (lambda t: float(t), "cannot become float"),
    "int": (lambda t: int(t), "cannot become int"),
    "range": (lambda t: range(t), "cannot become a Python index"),
    "asarray": (np.asarray, "has no data to make a NumPy array of"),
    "in": (lambda t: 1 in t, r"gx\.any\(t == value\)"),
    "len": (len, "0-d tensor"),
    "iteration": (list, "cannot be iterated"),
    "unpacking": (lambda t: (lambda a, b: a)(*t), "cannot be iterated"),
    "round": (lambda t: round(t, 2), r"gx\.round\(t \* 10\*\*n\)"),
    "device": (lambda t: t.to_device("cuda:0"), "the only device is 'cpu'"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_has_no_value_while_tracing(name):
    call, message = CASES[name]
    with pytest.raises(gx.TraceError, match=message) as error:
        call(gx.input("t", (), "float32"))
    assert re.search(HERE, str(error.value))
    assert isinstance(error.value, TypeError)


def test_item_assignment():
    t = gx.input("t", (3,))
    with pytest.raises(gx.TraceError, match=r"t = t\.at\[index\]\.set\(value\)"):
        t[0] = 1
    with pytest.raises(gx.TraceError, match="immutable"):
        del t[0]
    with pytest.raises(AttributeError):
        t.shape = (1, 3)
    with pytest.raises(AttributeError):
        t.new = 1


@pytest.mark.parametrize(("name", "instead"), [
    ("backward", "gx.grad(loss, params)"), ("detach", "gx.stop_gradient(t)"),
    ("view", "t.reshape(shape)"), ("item", "return the tensor from the step"),
    ("numpy", "its result is a NumPy array"), ("unsqueeze", "gx.expand_dims"),
    ("requires_grad_", "gx.grad(loss, tensor)"), ("cuda", "the step runs on the CPU"),
])  # fmt: skip
def test_habits_of_other_libraries(name, instead):
    t = gx.input("t", (3,))
    with pytest.raises(AttributeError, match=re.escape(instead)) as error:
        getattr(t, name)()
    assert re.search(HERE, str(error.value))
    assert not hasattr(t, "no_such_thing")


def test_messages_name_the_line_of_the_mistake():
    a, b = gx.input("a", (3, 4)), gx.input("b", (3, 4))
    with pytest.raises(gx.ShapeError) as error:
        a @ b
    expected = "matmul(float32[3,4], float32[3,4]): inner sizes differ, 4 != 3   (test_errors.py:"
    assert str(error.value).startswith(expected)

    def inner(t):
        return gx.sum(t, axis=5)  # this line

    with pytest.raises(gx.ShapeError) as error:
        gx.trace(inner, gx.spec((2,)))
    with open(__file__, encoding="utf-8") as source:
        lines = source.read().splitlines()
    assert lines[line_of(error) - 1].endswith("# this line")


def test_errors_have_kinds_that_python_knows():
    t = gx.input("t", (3,))
    with pytest.raises(ValueError):
        t + gx.input("u", (4,))
    with pytest.raises(TypeError):
        t + gx.input("u", (3,), "int32")
    with pytest.raises(IndexError):
        t[3]
    with pytest.raises(gx.DTypeError, match="complex128"):
        gx.asarray(np.zeros(2, np.complex128))
    with pytest.raises(gx.DTypeError, match="float16"):
        gx.spec((2,), "float16")
    with pytest.raises(gx.ShapeError, match=">= 0"):
        gx.spec((2, -1))
    with pytest.raises(gx.ShapeError, match="can be addressed"):
        gx.spec((2**40, 2**40))
    with pytest.raises(gx.TraceError, match="a tensor, array or number is required, got str"):
        gx.exp("x")


def test_inputs_of_an_evaluation_are_checked():
    x = gx.input("x", (3,))
    with pytest.raises(gx.ArgumentError, match="no array was given for the input 'x'"):
        gx.evaluate(2 * x)
    with pytest.raises(gx.ArgumentError, match=r"expected float32\[3\], got float64\[3\]"):
        gx.evaluate(2 * x, {x: np.zeros(3)})
    with pytest.raises(gx.ArgumentError, match=r"got float32\[4\]"):
        gx.evaluate(2 * x, {x: np.zeros(4, np.float32)})
