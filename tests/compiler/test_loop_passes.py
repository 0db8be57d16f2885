"""What the compiler makes of loops: few, small, and with as little inside them as can be."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import symgraph as sg
from symgraph import CompileError, Parameter, Placeholder, compile, cond, grad, scan, while_loop
from symgraph.compiler.pipeline import run_pipeline
from symgraph.compiler.specialise import specialise
from symgraph.compiler.verify import verify
from symgraph.node import Graph, Node
from symgraph.ops.composite import argument
from symgraph.ops.loop import LOOP
from tests.fuzz_loops import programs

RNG = np.random.default_rng(0)
XS = Placeholder("xs", ("T", "B", 3), "float32")
V = Placeholder("v", ("N",), "float64")
FLAG = Placeholder("flag", (), "bool")


def staged(*outputs, stage="loops"):
    """Return the graph of some nodes after a pass."""
    return run_pipeline(specialise(Graph((), outputs)).graph)[stage]


def loops(graph):
    return [node for node in graph if node.op is LOOP]


def names(graph):
    """Return the ops of a graph, not those inside its loops and conditions."""
    return [node.op.name for node in graph]


def body(loop):
    return names(loop.attrs["body"])


def recurrent_loss(checkpoint=False):
    w, u, b = (
        Parameter(RNG.normal(size=shape).astype("f4"), name)
        for name, shape in (("w", (3, 4)), ("u", (4, 4)), ("b", (4,)))
    )

    def step(h, x):
        projected = x @ w
        h = sg.tanh(projected + h @ u + b)
        return h, h

    start = sg.zeros((XS.shape[1], 4), dtype="float32")
    h, ys = scan(step, start, XS, checkpoint=checkpoint)
    return (ys**2).sum() + h.sum(), [w, u, b]


def training_step(checkpoint=False):
    loss, weights = recurrent_loss(checkpoint)
    return loss, *(p - 0.1 * g for p, g in zip(weights, grad(loss, weights), strict=True))


# Few loops.


def test_a_training_step_is_two_loops_with_one_product_each():
    before, after = (staged(*training_step(), stage=stage) for stage in ("cse", "loops"))
    assert len(loops(before)) == 3
    forward, backward = loops(after)
    assert (forward.attrs["reverse"], backward.attrs["reverse"]) == (False, True)
    # Neither the projections of the inputs nor the gradients of weights are inside.
    assert body(forward).count("batch_matmul") == body(backward).count("batch_matmul") == 1
    assert names(after).count("batch_matmul") == 3
    assert len(forward.attrs["body"].inputs) == 4
    places = {str(node.loc) for node in after if node.op.name == "batch_matmul"}
    assert all("test_loop_passes.py" in place for place in places)
    assert sum("gradient of matmul" in place for place in places) == 2


def test_with_checkpoints_nothing_is_kept_for_all_steps_but_carries():
    graph = staged(*training_step(checkpoint=True))
    forward, backward = loops(graph)
    assert names(graph).count("batch_matmul") == 0
    assert len(forward.type.items) == 3
    assert len(backward.type.items) == 4


def test_the_gradient_of_a_while_loop_is_two_loops():
    x = Placeholder("x", (), "float64")
    y = while_loop(lambda c: c < 100, lambda c: sg.exp(sg.sin(c)) + c, x)
    graph = staged(y, grad(y, x), grad(grad(y, x), x))
    assert len(loops(staged(y, grad(y, x)))) == 2
    assert len(loops(graph)) <= 5


def test_equal_loops_are_one():
    one, _ = scan(lambda c, x: (c + x, None), V[0], V)
    other, ys = scan(lambda c, x: (c + x, sg.exp(c)), V[0], V)
    both = loops(staged(one, other, ys))
    assert len(both) == 1
    assert both[0].attrs["carries"] == 1


def test_loops_that_wait_for_each_other_stay_two():
    total, _ = scan(lambda c, x: (c + x, None), V[0], V)
    scaled, ys = scan(lambda c, x: (c + x, c * total), V[0], V)
    assert len(loops(staged(ys, total, scaled))) == 2
    f = compile([ys, total], inputs=[V])
    np.testing.assert_allclose(f(v=np.arange(4.0))[0], [0, 0, 6, 18])


# Small loops.


def test_what_no_step_changes_is_computed_outside():
    w = Placeholder("w", (3, 3), "float64")

    def step(h, x):
        scale = sg.exp(w.sum(axis=0)) + 1
        return sg.tanh(h * scale + x), h @ (w @ w.T)

    h, ys = scan(step, w[0], Placeholder("rows", ("T", 3), "float64"))
    graph = staged(h, ys)
    (loop,) = loops(graph)
    assert sorted(set(body(loop)) - {"argument", "reshape"}) == ["add", "multiply", "tanh"]
    assert names(graph).count("batch_matmul") == 2


def test_unused_carries_rows_and_operands_go():
    def step(carry, rows):
        (a, b, same, own), (x, y) = carry, rows
        return (a + x * same, b + y, same, own * 2), (a * b, x)

    start = (V[0], V[0] + 1, V[0] + 2, V[0] + 3)
    (a, *_), _ = scan(step, start, (V, V * 2))
    (loop,) = loops(staged(a))
    assert (loop.attrs["carries"], loop.attrs["scanned"]) == (1, 1)
    assert len(loop.type.items) == 1
    assert body(loop).count("add") == body(loop).count("multiply") == 1


def test_a_loop_whose_results_nobody_uses_is_not_run():
    endless = while_loop(lambda c: c >= 0, lambda c: c + 1, sg.abs(V[0]))
    y = V.sum() + cond(FLAG, lambda: (endless, V[1])[1], lambda: V[2])
    assert not loops(staged(y))
    assert compile(y)(v=np.arange(3.0), flag=True) == 4


def test_conditions_keep_only_what_they_need():
    both = cond(FLAG, lambda: (V * 2, sg.exp(V)), lambda: (V, (V + 1) * V.sum()))
    (condition,) = (node for node in staged(both[0]) if node.op.name == "cond")
    assert len(condition.inputs) == 2
    assert len(condition.type.items) == 1
    assert "exp" not in names(condition.attrs["then_graph"])


def test_loops_inside_a_branch_keep_only_what_their_bodies_need():
    def step(c, x):
        inner = while_loop(lambda q: q < x, lambda q: q + 1, c)
        return sg.tanh(c + x) * inner, None

    y = cond(FLAG, lambda: scan(step, 0.0, V)[0], lambda: V.sum())
    graph = staged(grad(y, V))
    (condition,) = (node for node in graph if node.op.name == "cond")
    forward, backward = loops(condition.attrs["then_graph"])
    assert len(forward.type.items) == 3
    used = set(names(backward.attrs["body"])) and set(backward.attrs["body"].nodes())
    assert all(leaf in used for leaf in backward.attrs["body"].inputs)


def test_what_steps_add_up_is_summed_behind_the_loop():
    w, b = (Parameter(RNG.normal(size=s), n) for s, n in (((3, 3), "w"), ((3,), "b")))
    xs = Placeholder("xs", ("T", "B", 3), "float64")

    def step(h, x):
        # The gradients of the weights have two terms in each step.
        return sg.tanh(h @ w + b) + sg.sin(x @ w), None

    h, _ = scan(step, xs[0], xs)
    gradients = grad(h.sum(), [w, b])
    _, backward = loops(staged(*gradients))
    assert backward.attrs["carries"] == 1
    assert "sum" not in body(backward) and body(backward).count("batch_matmul") == 1
    f, reference = (compile([h, *gradients], mode=mode) for mode in ("native", "reference"))
    for steps in (1, 2, 7):
        values = RNG.normal(size=(steps, 4, 3))
        for one, other in zip(f(xs=values), reference(xs=values), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def outer(x):
    return sg.transpose(x, (1, 0)) @ x


@pytest.mark.parametrize(
    "step",
    [
        lambda c, x: ((c[0] + outer(x), c[1]), c[0]),
        lambda c, x: ((n := c[0] + outer(x), c[1] + 1), n),
        lambda c, x: ((c[0] + outer(x), c[0]), None),
        lambda c, x: ((n := c[0] + outer(x), n), None),
        lambda c, x: ((n := c[0] + outer(x), c[1] + n), n * 2),
        lambda c, x: ((c[0] + (outer(x) + outer(x * 2)), c[1] + c[1]), None),
        lambda c, x: ((c[0] + c[0] + outer(x), c[1] @ c[1]), (p := x @ V2, p, p @ V2, p * 2)),
        lambda c, x: ((sg.tanh(p := c[0] @ V2), c[1]), (p, p.reshape(4), p @ V2)),
    ],
)
def test_sums_and_products_that_others_read_stay_what_they_are(step):
    xs = Placeholder("xs", ("T", 3, 2), "float64")
    start = (sg.zeros((2, 2), dtype="float64"), sg.ones((2, 2), dtype="float64"))
    (a, b), ys = scan(step, start, xs)
    outputs = [a, b, *(ys if isinstance(ys, tuple) else () if ys is None else (ys,))]
    functions = [compile(outputs, inputs=[xs, V2], mode=m) for m in ("native", "reference")]
    feeds = {"xs": RNG.normal(size=(4, 3, 2)), "v2": RNG.normal(size=(2, 2))}
    for one, other in zip(*(f(**feeds) for f in functions), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


V2 = Placeholder("v2", (2, 2), "float64")


def test_a_product_that_steps_need_is_not_computed_once_more():
    rows = Placeholder("rows", ("T", 2, 2), "float64")
    h, ys = scan(lambda c, x: (sg.tanh(p := c @ V2 + x), (c @ V2, p)), V2, rows)
    assert names(staged(h, *ys)).count("batch_matmul") == 0
    h, y = scan(lambda c, x: (sg.tanh(c + x), c @ V2), V2, rows)
    assert names(staged(h, y)).count("batch_matmul") == 1


# Dtypes.


def test_numbers_in_rows_stay_weak():
    x = Placeholder("x", (3,), "float32")
    (_, h), counts = scan(lambda c, r: ((c[0] + 1, c[1] * sg.tanh(r) * c[0]), c[0]), (0.5, x[0]), x)
    for mode in ("native", "reference"):
        found = compile([grad(h, x), counts * x, h], mode=mode)(x=np.ones(3, "f4"))
        assert [array.dtype for array in found] == ["float32"] * 3
        np.testing.assert_allclose(found[1], [0.5, 1.5, 2.5])


def test_a_branch_may_reduce_a_number_that_is_carried():
    def step(carry, _):
        i, v = carry
        return (i + 1, cond(v.sum() > 3, lambda: v * 0.5, lambda: v + sg.sum(i) * 0.5)), None

    (_, v), _ = scan(step, (0, V), length=4)
    native, reference = (compile(v, mode=mode)(v=np.ones(2)) for mode in ("native", "reference"))
    np.testing.assert_array_equal(native, reference)


# Checks and dumps.


def broken(loop, change):
    """Return a graph with a loop whose attrs were changed."""
    changed = Node(loop.op, loop.inputs, {**loop.attrs, **change}, loop.type, loop.loc)
    return Graph((V,), (changed,))


def test_a_loop_with_a_wrong_argument_is_found():
    total, _ = scan(lambda c, x: (c + x, None), V[0], V)
    (loop,) = loops(staged(total))
    inner = loop.attrs["body"]
    wrong = argument(inner.inputs[0].type.with_shape((2,)))
    with pytest.raises(
        CompileError, match=r"body expects float64\[2\] where it is given"
    ) as caught:
        verify(broken(loop, {"body": Graph((wrong, *inner.inputs[1:]), inner.outputs)}))
    assert ">> " in caught.value.__notes__[0]
    with pytest.raises(CompileError, match="body takes 1 operands, 2 are given"):
        verify(broken(loop, {"body": Graph(inner.inputs[:1], inner.outputs)}))
    with pytest.raises(CompileError, match="it is used but is no input of its graph"):
        free = Graph((argument(inner.inputs[0].type), inner.inputs[1]), inner.outputs)
        verify(broken(loop, {"body": free}))
    with pytest.raises(CompileError, match="its type is"):
        verify(broken(loop, {"body": Graph(inner.inputs, (*inner.outputs, inner.outputs[0]))}))


def test_stages_with_loops_are_dumped(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_DUMP", str(tmp_path))
    run_pipeline(specialise(Graph((), training_step())).graph)
    (text,) = tmp_path.glob("*_loops.txt")
    assert text.read_text(encoding="utf-8").count("= loop(") == 2
    (drawing,) = tmp_path.glob("*_fuse.dot")
    assert "loop body: T steps, the last row first" in drawing.read_text(encoding="utf-8")


# Random loops.


def assert_close(found, expected, tolerance):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_a_loop_is_its_steps_one_after_another_forward_and_backward(program):
    def complete(nodes):
        loss = sum((sg.sum(sg.tanh(node)) for node in nodes), sg.Constant(0.0))
        return [*nodes, *grad(loss, program.leaves, allow_unused=True)]

    unrolled = program.unrolled()
    looped = program.looped()
    # Without steps there is nothing to stack.
    looped = looped if program.extents["T"] else looped[: len(unrolled)]
    feeds, leaves = program.feeds(0), program.leaves
    expected = compile(complete(unrolled), inputs=leaves, mode="reference")(**feeds)
    outputs = complete(looped)
    for mode in ("native", "reference"):
        found = compile(outputs, inputs=leaves, mode=mode)(**feeds)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, 1e-9 if program.dtype == "float64" else 1e-3)
