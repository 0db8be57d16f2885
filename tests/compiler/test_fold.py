"""Constants are computed at compile time, and only where that pays."""

import numpy as np
import pytest

from symgraph.compiler.passes.fold import LARGEST_FOLDED, fold
from symgraph.dims import symbol
from symgraph.leaves import Constant, is_constant
from symgraph.node import Graph, Node
from tests.compiler.pass_harness import A, canonical, op


def folded(node: Node) -> Node:
    return fold(canonical(node)).outputs[0]


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float64"])
def test_folding_keeps_the_dtype(dtype):
    result = folded(op("maximum", np.zeros(3, dtype), np.ones(3, dtype)))
    assert is_constant(result)
    assert result.type.dtype == dtype
    assert result.value.dtype == dtype
    assert result.value.tolist() == [1, 1, 1]


def test_scalars_stay_without_axes():
    result = folded(op("exp", Constant(0.0)))
    assert is_constant(result)
    assert (result.value.shape, result.value.item(), result.type.weak) == ((), 1.0, False)


def test_constants_under_other_nodes_are_folded_too():
    graph = fold(canonical(A * op("sqrt", Constant(2.0) + 2.0)))
    assert [node.op.name for node in graph] == ["placeholder", "constant", "multiply"]
    assert graph.outputs[0].inputs[1].value == 2.0


def test_floating_point_errors_are_ignored_and_kept():
    assert np.isnan(folded(op("log", np.float64(-1.0))).value)
    assert folded(op("divide", np.float64(-1.0), 0.0)).value == -np.inf


def test_integers_wrap_as_in_numpy():
    assert folded(op("add", np.int32(2**31 - 1), np.int32(1))).value == -(2**31)


def test_reductions_and_views_of_constants_are_folded():
    total = op("sum", np.arange(6).reshape(2, 3), axis=1, keepdims=False)
    assert folded(
        op("transpose", op("reshape", total, shape=(2, 1)), axes=None)
    ).value.tolist() == [[3, 12]]


def test_broadcasts_stay_views():
    assert folded(op("broadcast_to", np.float64(1.0), shape=(100,))).op.name == "broadcast_to"


def test_large_results_are_left_to_run_time():
    size = LARGEST_FOLDED // 8 + 1
    assert folded(op("exp", np.ones(size))).op.name == "exp"
    assert is_constant(folded(op("exp", np.ones(size - 1))))


def test_symbolic_shapes_are_left_to_run_time():
    stretched = op("broadcast_to", np.float64(1.0), shape=(symbol("N"),))
    assert folded(op("exp", stretched)).op.name == "exp"


def test_static_extents_become_numbers():
    known = op("extent", value=7)
    assert folded(op("cast", known, dtype="float32")).value == np.float32(7)
    symbolic = op("extent", value=symbol("N"))
    assert folded(op("cast", symbolic, dtype="float32")).op.name == "cast"


def test_random_numbers_and_index_ranges_are_not_folded():
    assert folded(op("exp", op("cast", op("call_index"), dtype="float64"))).op.name == "exp"
    index = op("affine_index", shape=(3,), strides=(1,), offset=0)
    assert folded(op("negative", index)).op.name == "negative"


def test_an_index_out_of_range_is_reported_at_run_time_only():
    assert folded(op("check_index", np.int64(7), np.int64(5))).op.name == "check_index"


def test_nothing_to_fold_gives_the_same_graph():
    graph = canonical(op("exp", A))
    assert fold(graph) is graph


def test_unused_inputs_of_a_graph_stay():
    graph = Graph((A,), (canonical(Constant(1.0) + 1.0).outputs[0],))
    assert fold(graph).inputs == (A,)
