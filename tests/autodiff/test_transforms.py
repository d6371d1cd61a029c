"""Transforms of functions, against JAX and against one another."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import graphc as gx

jax = pytest.importorskip("jax", reason="JAX is the oracle of these tests")
jnp = jax.numpy

RNG = np.random.default_rng(0)
X, V = RNG.standard_normal((2, 3, 4))
W = RNG.standard_normal((4, 2))


@pytest.fixture(autouse=True)
def double_precision():
    """In this module alone: JAX's default is a setting of the whole process."""
    with jax.enable_x64(True):
        yield


def agree(result, expected, tolerance=1e-9):
    """A pytree of tensors, evaluated, against one of JAX arrays."""
    found = jax.tree_util.tree_leaves(gx.evaluate(result))
    wanted = jax.tree_util.tree_leaves(expected)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def both(fn, *args, tolerance=1e-9):
    """fn is written once for both: (library, arrays namespace, arguments)."""
    agree(fn(gx, gx, *args), fn(jax, jnp, *args), tolerance)


def loss(xp):
    return lambda x, w: xp.sum(xp.tanh(x @ w) ** 2) + x[0, 0] * x[1, 1]


def vector(xp):
    return lambda x, w: {"y": xp.sin(x @ w), "s": xp.sum(x * x)}


CASES = {
    "grad": lambda t, xp: t.grad(loss(xp))(X, W),
    "grad of several": lambda t, xp: t.grad(loss(xp), argnums=(1, 0))(X, W),
    "grad of a negative position": lambda t, xp: t.grad(loss(xp), argnums=-1)(X, W),
    "value_and_grad": lambda t, xp: t.value_and_grad(loss(xp), (0, 1))(X, W),
    "aux": lambda t, xp: t.grad(lambda x: (xp.sum(x**3), {"a": x * 2}), has_aux=True)(X),
    "value, aux": lambda t, xp: t.value_and_grad(
        lambda x: (xp.sum(x**3), 2 * x), has_aux=True
    )(X),
    "grad of a pytree": lambda t, xp: t.grad(
        lambda p: xp.sum(xp.exp(p["a"][0]) * p["b"]["c"])
    )({"a": [X], "b": {"c": V}}),
    "grad of grad": lambda t, xp: t.grad(lambda x: xp.sum(xp.sin(t.grad(loss(xp))(x, W))))(X),
    "third derivative": lambda t, xp: t.grad(t.grad(t.grad(lambda x: xp.sin(x) * xp.exp(x))))(
        np.float64(0.7)
    ),
    "jvp": lambda t, xp: t.jvp(vector(xp), (X, W), (V, W)),
    "jvp of grad": lambda t, xp: t.jvp(lambda x: t.grad(loss(xp))(x, W), (X,), (V,)),
    "grad of jvp": lambda t, xp: t.grad(
        lambda x: t.jvp(lambda y: loss(xp)(y, W), (x,), (V,))[1]
    )(X),
    "jacrev": lambda t, xp: t.jacrev(vector(xp), (0, 1))(X, W),
    "jacfwd": lambda t, xp: t.jacfwd(vector(xp), (0, 1))(X, W),
    "jacrev of one": lambda t, xp: t.jacrev(vector(xp))(X, W),
    "jacfwd of one": lambda t, xp: t.jacfwd(vector(xp), argnums=1)(X, W),
    "hessian": lambda t, xp: t.hessian(lambda x: loss(xp)(x, W))(X),
    "hessian of a pytree": lambda t, xp: t.hessian(lambda p: xp.sum(p["a"] ** 3 * p["b"]))(
        {"a": X[0], "b": V[0]}
    ),
    "vmap": lambda t, xp: t.vmap(lambda x, w: xp.tanh(x @ w), in_axes=(0, None))(X, W),
    "vmap of axes": lambda t, xp: t.vmap(lambda x, v: (x * v, x), in_axes=(1, -1), out_axes=(1, 0))(
        X, V
    ),
    "vmap of a pytree": lambda t, xp: t.vmap(
        lambda p: {"z": p["x"] @ p["w"]}, in_axes=({"x": 0, "w": None},), out_axes={"z": 1}
    )({"x": X, "w": W}),
    "vmap without batch": lambda t, xp: t.vmap(lambda x: (xp.sum(V), x))(X),
    "vmap of vmap": lambda t, xp: t.vmap(
        t.vmap(lambda a, b: xp.sum(a * b), in_axes=(None, 0)), in_axes=(0, None)
    )(X, V),
    "vmap of grad": lambda t, xp: t.vmap(
        t.grad(lambda x, w: xp.sum(xp.tanh(x @ w))), in_axes=(0, None)
    )(X, W),
    "vmap of grad of a closed-over value": lambda t, xp: t.vmap(
        lambda x: t.grad(lambda w: xp.sum(xp.tanh(x @ w)))(W + 0)
    )(X),
    "grad of vmap": lambda t, xp: t.grad(
        lambda x: xp.sum(t.vmap(lambda row: xp.sum(row) ** 2)(x))
    )(X),
    "vmap of hessian": lambda t, xp: t.vmap(t.hessian(lambda x: xp.sum(x**3) * x[0]))(X),
    "jacfwd of vmap": lambda t, xp: t.jacfwd(t.vmap(lambda x: xp.sum(x * x)))(X),
    "vmap of jvp": lambda t, xp: t.vmap(lambda x, v: t.jvp(xp.exp, (x,), (v,)))(X, V),
    "vmap of indexing": lambda t, xp: t.vmap(lambda x: x[::-1][np.array([0, 2, 2])])(X),
    "vmap of sorting": lambda t, xp: t.vmap(lambda x: xp.sort(x))(X),
    "vmap of reductions": lambda t, xp: t.vmap(
        lambda x: (xp.max(x), xp.argmin(x), xp.mean(x), xp.cumsum(x) if xp is jnp else x.cumsum())
    )(X),
    "vmap of matmul": lambda t, xp: t.vmap(lambda a, b: a @ b, in_axes=(0, 2))(
        X.reshape(3, 2, 2), RNG_CUBE
    ),
    "vmap of concat and reshape": lambda t, xp: t.vmap(
        lambda x: xp.reshape(xp.stack([x, 2 * x]), (2, 2, 2))
    )(X),
}  # fmt: skip
RNG_CUBE = np.random.default_rng(1).standard_normal((2, 5, 3))


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_jax(name):
    both(CASES[name])


def test_vjp():
    seed = RNG.standard_normal((3, 2))
    results = []
    for t, xp in ((gx, gx), (jax, jnp)):
        y, pullback = t.vjp(lambda x, w, xp=xp: xp.sin(x @ w), X, W)
        results.append((y, pullback(xp.asarray(seed))))
    agree(*results)
    y, pullback, aux = gx.vjp(lambda x: (x * 2, x.shape), X, has_aux=True)
    assert aux == (3, 4)
    agree(pullback(V), (2 * V,))


def test_hvp():
    fn = lambda xp: lambda p: xp.sum(xp.sin(p["a"]) * p["b"] ** 2)  # noqa: E731
    point, move = {"a": X, "b": V}, {"a": V, "b": X}
    expected = jax.jvp(jax.grad(fn(jnp)), (point,), (move,))[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agree(gx.hvp(fn(gx), point, move), expected)


def test_closed_over_tensors_receive_gradients():
    def step(x, w):
        per_row = gx.vmap(lambda row: gx.sum(gx.tanh(row @ w)))(x)
        slopes = gx.grad(lambda z: gx.sum(gx.tanh(z @ w)))(x)
        loss = gx.sum(per_row) + gx.sum(slopes**2)
        return gx.grad(loss, w)

    def reference(w):
        per_row = jax.vmap(lambda row: jnp.sum(jnp.tanh(row @ w)))(X)
        slopes = jax.grad(lambda z: jnp.sum(jnp.tanh(z @ w)))(X)
        return jnp.sum(per_row) + jnp.sum(slopes**2)

    found = gx.trace(step, X, W).evaluate(X, W)
    np.testing.assert_allclose(found, jax.grad(reference)(W), rtol=1e-9)


def test_the_derivative_is_by_the_argument_alone():
    """x in the closure is another variable than the argument x."""
    x = gx.input("x", (), "float64")
    inner = gx.grad(lambda y: y * x)(x)
    assert gx.evaluate(inner, {x: 3.0}) == 3
    assert gx.evaluate(gx.grad(inner, x), {x: 3.0}) == 1


def test_pinn_residual():
    """u_t + u·u_x - ν·u_xx of a network, differentiated by its weights."""
    params = [RNG.standard_normal((2, 8)), RNG.standard_normal((8, 1))]
    points = RNG.uniform(-1, 1, (16, 2))

    def residual_loss(t, xp, params):
        def u(point):
            return (xp.tanh(point @ params[0]) @ params[1])[0]

        def residual(point):
            du = t.grad(u)(point)
            u_xx = t.grad(lambda p: t.grad(u)(p)[1])(point)[1]
            return du[0] + u(point) * du[1] - 0.01 / np.pi * u_xx

        return xp.mean(t.vmap(residual)(points) ** 2)

    found = gx.value_and_grad(lambda p: residual_loss(gx, gx, p))(params)
    expected = jax.value_and_grad(lambda p: residual_loss(jax, jnp, p))(params)
    agree(found, expected)


def test_stop_gradient_of_a_pytree():
    fn = lambda t, xp: lambda x: xp.sum(x * t({"a": x})["a"])  # noqa: E731
    agree(gx.grad(fn(gx.stop_gradient, gx))(X), jax.grad(fn(jax.lax.stop_gradient, jnp))(X))


def test_custom_vjp_agrees_with_jax():
    def make(t, xp):
        @t.custom_vjp
        def f(a, b):
            return xp.sin(a["x"]) * b, b * 2

        def forward(a, b):
            return f(a, b), (xp.cos(a["x"]), a, b)

        def backward(saved, g):
            cosine, a, b = saved
            return {"x": g[0] * cosine * b}, g[0] * xp.sin(a["x"]) + 2 * g[1]

        f.defvjp(forward, backward)
        return lambda x, b: xp.sum(f({"x": x}, b)[0] ** 2) + xp.sum(f({"x": x}, b)[1] * x)

    ours, theirs = make(gx, gx), make(jax, jnp)
    agree(gx.grad(ours, (0, 1))(X, V), jax.grad(theirs, (0, 1))(X, V))
    second = lambda t, fn, xp: t.grad(  # noqa: E731
        lambda x, b: xp.sum(xp.sin(t.grad(fn, 1)(x, b))), (0, 1)
    )
    agree(second(gx, ours, gx)(X, V), second(jax, theirs, jnp)(X, V))
    rows = lambda t, fn: t.vmap(t.grad(fn), in_axes=(0, None))(X, V[0])  # noqa: E731
    agree(rows(gx, ours), rows(jax, theirs))


def test_custom_vjp_is_the_users_own():
    @gx.custom_vjp
    def clipped(x, limit):
        return x

    clipped.defvjp(lambda x, limit: (x, limit), lambda limit, g: (gx.clip(g, -limit, limit), None))
    assert clipped.__name__ == "clipped"
    x = gx.input("x", (3,), "float64")
    y = gx.sum(clipped(x, 0.5) * np.array([1.0, -3.0, 0.1]))
    given = {x: [1.0, 2.0, 3.0]}
    np.testing.assert_allclose(gx.evaluate(gx.grad(y, x), given), [0.5, -0.5, 0.1])
    _, tangent = gx.jvp(lambda x: clipped(x, 10.0) * 2, (x,), (gx.ones_like(x),))
    np.testing.assert_allclose(gx.evaluate(tangent, given), [2, 2, 2])


def test_custom_vjp_refusals():
    @gx.custom_vjp
    def f(x, y):
        return x

    x = gx.input("x", (3,))
    with pytest.raises(gx.TraceError, match=r"f.defvjp\(fwd, bwd\)"):
        f(x, x)
    f.defvjp(lambda x, y: x, lambda saved, g: (g,))
    with pytest.raises(gx.TraceError, match="fwd returns"):
        f(x, x)
    f.defvjp(lambda x, y: (x, None), lambda saved, g: (g,))
    with pytest.raises(gx.TraceError, match="a tuple of 2 cotangents"):
        gx.grad(gx.sum(f(x, x)), x)
    f.defvjp(lambda x, y: (x, None), lambda saved, g: (gx.sum(g), None))
    with pytest.raises(
        gx.ShapeError, match=r"bwd gave float32\[\] for an argument of float32\[3\]"
    ):
        gx.grad(gx.sum(f(x, x)), x)
    f.defvjp(lambda x, y: (x, None), lambda saved, g: ([g], None))
    with pytest.raises(gx.TraceError, match="cotangent 0 has the structure"):
        gx.grad(gx.sum(f(x, x)), x)


def test_vmap_refusals():
    x = gx.input("x", (3, 4))
    with pytest.raises(gx.ShapeError, match=r"equal batch axes required, got sizes \[3, 4\]"):
        gx.vmap(lambda a, b: a, in_axes=(0, 1))(x, x)
    with pytest.raises(gx.ShapeError, match="one argument with a batch axis"):
        gx.vmap(lambda a: a, in_axes=None)(x)
    with pytest.raises(gx.ShapeError, match="axis 2 is out of range"):
        gx.vmap(lambda a: a, in_axes=2)(x)
    with pytest.raises(gx.TraceError, match="is not a prefix"):
        gx.vmap(lambda a: a, in_axes=({"a": 0},))(x)
    with pytest.raises(gx.ShapeError, match="out_axes is None"):
        gx.vmap(lambda a: a, out_axes=None)(x)


def test_jvp_refusals():
    x = gx.input("x", (3,))
    with pytest.raises(gx.TraceError, match="1 primals, 2 tangents"):
        gx.jvp(gx.sin, (x,), (x, x))
    with pytest.raises(gx.ShapeError, match=r"float32\[3\] required, got float32\[2\]"):
        gx.jvp(gx.sin, (x,), (gx.ones(2),))
    with pytest.raises(gx.TraceError, match="structure"):
        gx.jvp(lambda d: d["a"], ({"a": x},), ({"b": x},))
    with pytest.raises(gx.ShapeError, match="scalar result"):
        gx.hvp(gx.sin, x, x)


def test_checkpoint_marks_and_changes_nothing():
    def block(x):
        return gx.tanh(gx.sin(x))

    x = gx.input("x", (3,))
    plain, marked = block(x), gx.checkpoint(block)(x)
    given = {x: [1.0, 2.0, 3.0]}
    pair = [gx.grad(gx.sum(y), x) for y in (plain, marked)]
    np.testing.assert_array_equal(*gx.evaluate(pair, given))
    regions = {n.op.name: n.meta.region for n in gx.Graph.from_outputs([marked]).nodes}
    assert regions["input"] == 0 and regions["sin"] == regions["tanh"] > 0
    again = gx.checkpoint(block)(x)
    assert again.value.node.meta.region != marked.value.node.meta.region
    assert {n.meta.region for n in gx.Graph.from_outputs([pair[1]]).nodes if n.meta.rule} == {0}
