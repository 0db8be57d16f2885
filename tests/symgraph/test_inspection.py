"""Nothing is hidden: explain, memory, profile, trace, debug, stages and source."""

import re

import numpy as np
import pytest

import symgraph as sg
from symgraph import (
    BoundsError,
    FeedError,
    GraphError,
    Placeholder,
    ShapeError,
    compile,
    cond,
)
from symgraph.inspection.operations import operations_per_element
from symgraph.runtime import native
from tests.symgraph.mlp_step import feeds, make_step


@pytest.fixture(scope="module")
def step():
    return make_step()


# explain


def test_the_report_names_lines_ops_kernels_and_figures(step):
    report = step[0].explain()
    assert "hidden = sg.relu(x @ w1 + b1)" in report
    assert re.search(r"mlp_step\.py:\d+  logits = hidden @ w2 \+ b2", report)
    assert "gradient of relu" in report
    assert "matmul giving float32[N, 32]  [kernel 0, called 5 times]" in report
    assert "reads 80*N + 2560 B, writes 128*N B, computes 1280*N FLOP" in report
    assert re.search(
        r"threads  share the N iterations of the outermost loop from N = \d+ on", report
    )
    assert "compiled in" in report and "disk cache:" in report
    assert "commit: all checks have passed" in report
    assert "updates w1, b1, w2, b2" in report


def test_every_boundary_between_kernels_has_a_reason(step):
    report = step[0].explain()
    for reason in (
        "matmul has a kernel of its own",
        "it loops over N x 10, the other over N",
        "partial results",
        "it needs the finished result over all of",
    ):
        assert reason in report
    assert all(len(line.split(": ", 1)[1]) > 10 for line in re.findall("apart from .*", report))


def test_dims_give_numbers(step):
    report = step[0].explain(N=1000)
    assert "computes 1280*N FLOP = 1.28 MFLOP" in report
    assert "one: the work is too small to share" in report


def test_one_thread_is_told(step):
    x = Placeholder("x", ("N",), "float32")
    assert "threads  one: no more are allowed" in compile(x + 1, threads=1).explain(N=10**8)


def test_more_reasons_why_kernels_stay_apart():
    x = Placeholder("x", ("N", "M"), "float32")
    node = x
    for _ in range(300):
        node = sg.absolute(node - 1)
    assert "exceed 400 primitives" in compile(node).explain()
    turned = sg.exp(sg.transpose(sg.cumsum(x, axis=0)) * 2)
    assert "cumsum has a kernel of its own" in compile(turned).explain()
    rows = x / sg.sum(x, axis=1, keepdims=True)
    assert "reduces along axis 0, the other along axis 1" in compile(sg.sum(rows, axis=0)).explain()


def test_a_condition_is_explained():
    flag, x = Placeholder("flag", (), "bool"), Placeholder("x", (3,), "float32")
    report = compile(cond(flag, lambda: sg.exp(x), lambda: x + 1)).explain()
    assert "if the condition is false, go on at #" in report
    assert "exp" in report and "add" in report


def test_open_extents_are_named_after_their_placeholder():
    x = Placeholder("x")
    f = compile(x * 2)
    with pytest.raises(ShapeError, match="nothing is compiled yet: call the function first"):
        f.explain()
    f(x=np.ones((3, 4)))
    assert "over x.0 x x.1" in f.explain()
    assert "reads 8*x.0*x.1 B = 96 B" in f.explain(x=(3, 4)).replace(" + 8 B", "")


@pytest.mark.parametrize("inspect", ["explain", "memory", "kernel_table"])
def test_unknown_extents_are_refused(step, inspect):
    with pytest.raises(FeedError, match="there is no extent or placeholder 'Q'; there are 'N'"):
        getattr(step[0], inspect)(Q=3)
    with pytest.raises(FeedError, match="extent 'N' is a non-negative int, not -1"):
        getattr(step[0], inspect)(N=-1)


def test_operations_are_counted_from_the_scalar_code():
    x = Placeholder("x", (), "float32")
    assert [operations_per_element(node) for node in (x + x, x * x, sg.relu(x))] == [1, 1, 0]
    assert 10 < operations_per_element(sg.exp(x)) < 60
    assert operations_per_element(Placeholder("n", (), "int64") + 1) == 0


def test_the_table_of_kernels_agrees_with_the_plan(step):
    rows = step[0].kernel_table(N=10)
    assert len(rows) == len(step[0].kernels)
    assert rows[0]["what"] == "matmul" and rows[0]["computes"] == "12.8 kFLOP"


# memory


@pytest.mark.parametrize("count", [0, 1, 100, 4096])
def test_memory_is_what_a_frame_allocates(step, count):
    f, parameters = step
    memory = f.memory(N=count)
    frame = f._latest.executable.frame_for(((count, 20), (count,)))
    assert memory.arena == frame.arena_bytes
    assert memory.parameters == sum(p.value.nbytes for p in parameters)
    assert memory.feeds == count * (20 * 4 + 8)
    assert memory.outputs == 4
    assert (
        int(memory)
        == memory.total
        == (memory.arena + memory.parameters + memory.feeds + memory.outputs + memory.constants)
    )
    assert memory.unshared >= memory.arena - 64 * len(memory.arrays)


def test_the_table_of_memory_names_lines(step):
    text = str(step[0].memory(N=100))
    assert re.search(r"relu +12,800 .*mlp_step.py:\d+ .*hidden = sg.relu", text)
    assert re.search(r"total +[\d,]+ ", text)


def test_memory_takes_shapes_of_placeholders(step):
    assert step[0].memory(x=feeds()["x"]).total == step[0].memory(N=100).total
    with pytest.raises(FeedError, match="placeholder 'x' has 2 axes, not 1"):
        step[0].memory(x=(3,))
    with pytest.raises(FeedError, match="the extents N are needed"):
        step[0].memory()


def test_memory_refuses_impossible_extents():
    x, y = Placeholder("x", ("N",)), Placeholder("y", ("M",))
    f = compile(sg.concatenate([x, y])[2:])
    f(x=np.ones(3), y=np.ones(3))
    assert f.memory(N=3, M=3).outputs == 32


# profile


def test_a_profile_covers_each_kernel_and_leaves_parameters_alone(step):
    f, parameters = step
    before = [p.value for p in parameters]
    profile = f.profile(**feeds(), repeats=5)
    assert all(np.array_equal(p.value, b) for p, b in zip(parameters, before, strict=True))
    assert len(profile) == len(f.kernels)
    assert all(entry.count == 1 for entry in profile)
    assert [e.seconds for e in profile] == sorted((e.seconds for e in profile), reverse=True)
    assert sum(entry.share for entry in profile) == pytest.approx(1)
    assert profile.seconds < 1
    matmul = next(entry for entry in profile if entry.number == 0)
    assert matmul.operations == 2 * 100 * 20 * 32
    assert "GFLOP/s" in str(profile) and "mlp_step.py:" in str(profile)


def test_a_profile_counts_only_the_branch_that_ran():
    flag, x = Placeholder("flag", (), "bool"), Placeholder("x", (3,), "float32")
    f = compile(cond(flag, lambda: sg.exp(x), lambda: x + 1))
    counts = {e.number: e.count for e in f.profile(flag=True, x=np.ones(3, "f4"), repeats=3)}
    assert sorted(counts.values())[0] == 0 and max(counts.values()) == 1


def test_a_profile_refuses_what_a_call_refuses(step):
    with pytest.raises(FeedError, match="placeholder 't' was not fed"):
        step[0].profile(x=feeds()["x"])
    with pytest.raises(BoundsError, match="out of range"):
        step[0].profile(x=feeds()["x"], t=np.full(100, 10))
    with pytest.raises(GraphError, match="repeats is a positive int, not 0"):
        step[0].profile(**feeds(), repeats=0)


def test_a_profile_uses_up_no_random_numbers():
    x = Placeholder("x", (1,), "float32")
    first, second = (compile(sg.random.normal((1,), seed=5) + x) for _ in range(2))
    first.profile(np.zeros(1, "f4"), repeats=3)
    for _ in range(2):
        assert first(np.zeros(1, "f4")) == second(np.zeros(1, "f4"))


def test_calls_after_a_profile_are_not_profiled(step):
    step[0].profile(**feeds(), repeats=2)
    frame = step[0]._latest.executable.frame_for(((100, 20), (100,)))
    assert frame.words[native.PROFILE] == 0


# trace and debug


def test_a_trace_holds_every_value_under_the_users_names(step):
    f, parameters = step
    given = feeds()
    trace = f.trace(**given)
    w1, b1, w2, b2 = (p.value for p in parameters)
    hidden = np.maximum(given["x"] @ w1 + b1, 0)
    np.testing.assert_allclose(trace["hidden"], hidden, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trace["logits"], hidden @ w2 + b2, rtol=1e-5, atol=1e-5)
    assert {"x", "t", "w1", "matmul", "hidden", "logits", "loss", "new w1"} <= set(trace)
    assert trace.line("hidden").code == "hidden = sg.relu(x @ w1 + b1)"
    assert trace.node("hidden").op.name == "relu"
    np.testing.assert_array_equal(parameters[0].value, w1)
    text = str(trace)
    assert "float32[100, 32]" in text and "gradient of relu" in text


def test_a_trace_needs_no_compilation():
    x = Placeholder("x")
    f = compile(sg.exp(x) + 1)
    assert f.trace(x=np.zeros(3))["exp"].tolist() == [1, 1, 1]
    assert f.compile_count == 0


def test_names_never_clash():
    x, add = Placeholder("x", (), "float64"), Placeholder("add", (), "float64")
    trace = compile([x + add, x + 2, x + 3]).trace(x=1.0, add=5.0)
    assert trace["add"] == 5
    assert sorted(float(trace[n]) for n in trace if n.startswith("add_")) == [3, 4, 6]


def test_a_trace_raises_what_the_call_raises(step):
    with pytest.raises(BoundsError, match="out of range"):
        step[0].trace(x=feeds()["x"], t=np.full(100, 10))


def test_stepping_through_an_mlp(step):
    debugger = step[0].debug(**feeds())
    assert debugger.current is None and len(debugger.values) == 0
    assert debugger.next().name == "x"
    hidden = debugger.until("hidden")
    assert hidden.node.op.name == "relu" and hidden.value.shape == (100, 32)
    assert "logits" not in debugger.values
    debugger.watch("logits")
    assert "watch logits = not computed yet" in str(debugger)
    assert "-> hidden" in str(debugger)
    assert debugger.back().name == "add"
    assert "hidden" not in debugger.values
    logits = debugger.until(hidden.node) and debugger.until("logits")
    assert logits.name == "logits"
    assert "watch logits = float32[100, 10]" in str(debugger)
    debugger.break_when(lambda one: one.node.op.name == "softmax_cross_entropy")
    assert debugger.run().name == "loss"
    assert debugger.run() is None and debugger.done
    assert debugger.next() is None
    for _ in range(len(debugger.steps) + 2):
        debugger.back()
    assert debugger.current is None


def test_stepping_through_a_condition():
    flag, x = Placeholder("flag", (), "bool"), Placeholder("x", (3,), "float64")
    result = cond(flag, lambda: sg.exp(x) * 2, lambda: sg.log(x))
    f = compile(result + 1)
    debugger = f.debug(flag=True, x=np.zeros(3))
    assert debugger.until("exp").value.tolist() == [1, 1, 1]
    assert debugger.next().value.tolist() == [2, 2, 2]
    assert debugger.until("cond").value[0].tolist() == [2, 2, 2]
    assert debugger.run() is None
    with pytest.raises(GraphError, match="this call computes no 'log'; it computes flag"):
        debugger.until("log")


def test_breaking_where_a_value_is_not_a_number():
    x = Placeholder("x", ("N",), "float64")
    root = sg.sqrt(x)
    f = compile(sg.sum(root))
    debugger = f.debug(x=[1.0, -1.0])
    debugger.break_when(lambda one: bool(np.isnan(one.value).any()))
    assert debugger.run().name == "root"


def test_a_failing_call_stops_where_it_fails(step):
    debugger = step[0].debug(x=feeds()["x"], t=np.full(100, 10))
    assert debugger.until("logits").name == "logits"
    with pytest.raises(BoundsError, match="out of range"):
        debugger.run()
    assert "the call fails here" in str(debugger)
    assert debugger.back() is not None


def test_watching_an_unknown_node_is_refused(step):
    with pytest.raises(GraphError, match="this call does not compute"):
        step[0].debug(**feeds()).watch(Placeholder("other"))


# stages and source


def test_stages_are_in_the_order_of_the_passes(step):
    assert list(step[0].stages) == [
        "specialise",
        "expand",
        "simplify",
        "cse",
        "loops",
        "parts",
        "fuse",
    ]


def test_reports_have_a_short_form(step):
    f, given = step[0], feeds(5)
    found = [f.memory(N=5), f.profile(**given, repeats=1), f.trace(**given), f.debug(**given)]
    short = list(map(repr, found))
    assert all("\n" not in text and len(text) < 90 for text in short)
    assert re.fullmatch(r"<memory: peak .*B, parameters .*B, arena .*B>", short[0])
    assert re.fullmatch(r"<profile of \d+ kernel calls: .*s, \d+% in the slowest>", short[1])
    assert re.fullmatch(r"<trace of \d+ values>", short[2])
    assert re.fullmatch(r"<debugger at step 0 of \d+>", short[3])


def test_the_source_is_readable_and_commented(step):
    source = step[0].source
    assert source.count("# kernel ") == len(step[0]._latest.plan.kernels)
    assert "def kernel(in0: float32, in1: float32, out0: float32, out1: bool, lo, hi):" in source
    assert re.search(r"v\d: float32 = in0\[i\*32 \+ j\] \+ in1\[j\] +# add  .*mlp_step", source)
    assert "# pass 2" in source
    assert "def exp(x: float32) -> float32:" in source
    assert re.search(r"total\d: float64 = 0", source)
    assert "hidden = sg.relu(x @ w1 + b1)" in source


@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 2), (1, 2)])
def test_every_loop_structure_can_be_listed(axis):
    x = Placeholder("x", ("A", "B", "C"), "float32")
    y = sg.softmax(x, axis=-1) + sg.arange(x.shape[2])
    source = compile([sg.sum(x, axis=axis), sg.max(x, axis=axis), y]).source
    assert source.count("def kernel(") == source.count("# kernel ")


def test_the_reference_mode_has_no_kernels():
    x = Placeholder("x", (3,), "float64")
    f = compile(sg.exp(x), mode="reference")
    f(x=np.zeros(3))
    for inspect in (f.explain, f.memory, lambda: f.source, lambda: f.profile(x=np.zeros(3))):
        with pytest.raises(GraphError, match="mode='reference' compiles nothing"):
            inspect()
    assert f.trace(x=np.zeros(3))["exp"].tolist() == [1, 1, 1]
