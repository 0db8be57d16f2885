"""What must hold of every op in the registry: types, derivatives, and native = reference."""

import numpy as np
import pytest

from symgraph.compiler.autodiff import grad
from symgraph.errors import DTypeError
from symgraph.leaves import Constant
from symgraph.op import NO_GRADIENT, REGISTRY, Elementwise
from symgraph.ops.elementwise import operand_dtypes
from symgraph.types import DTYPES, FLOATS
from tests.op_harness import (
    ELEMENTWISE,
    OPS,
    applied,
    computed,
    dtype_choices,
    extrapolated,
    operands_of,
    placeholders_for,
    relative_error,
)

TOLERANCE = 1e-7
SAMPLES = [
    pytest.param(op, sample, id=f"{op.name}-{index}")
    for op in OPS
    for index, sample in enumerate(op.samples)
]
SMOOTH = [entry for entry in SAMPLES if entry.values[1].differentiable]
SECOND = [entry for entry in SMOOTH if entry.values[1].order >= 2]
PASSES_VALUES_ON = {"stop_gradient"}
FLAT = [
    entry
    for entry in SAMPLES
    if isinstance(entry.values[0].kind, Elementwise)
    and entry.values[0].grad is NO_GRADIENT
    and entry.values[0].name not in PASSES_VALUES_ON
]
UFUNC_NAMES = {"mod": "remainder"}


def _ufunc(op):
    found = getattr(np, UFUNC_NAMES.get(op.name, op.name), None)
    return found if isinstance(found, np.ufunc) else None


BINARY_UFUNCS = [op for op in ELEMENTWISE if getattr(_ufunc(op), "nin", 0) == 2]


def _numpy_result(op, arrays, attrs):
    """Return NumPy's own result; None where NumPy has no such operation on these dtypes."""
    ufunc = _ufunc(op)
    with np.errstate(all="ignore"):
        try:
            if ufunc is not None:
                result = ufunc(*arrays)
            else:
                result = _reference_result(op, arrays, attrs)
        except TypeError:
            return None
    result = np.asarray(result)
    return result if result.dtype.name in DTYPES else None


def _reference_result(op, arrays, attrs):
    """Return the reference's result; elementwise ones get their operands cast, as promised."""
    if isinstance(op.kind, Elementwise):
        types = [node.type for node in placeholders_for(arrays)]
        wanted = operand_dtypes(op, types, attrs)
        arrays = [array.astype(dtype) for array, dtype in zip(arrays, wanted, strict=True)]
    return op.numpy(*arrays, **attrs)


def _applied_if_taken(op, nodes, attrs):
    """Return the node; None where an op that is not elementwise refuses bools or integers."""
    try:
        return applied(op, nodes, attrs)
    except DTypeError:
        floats = all(node.dtype in FLOATS for node in nodes)
        if floats or isinstance(op.kind, Elementwise):
            raise
        return None


@pytest.mark.parametrize(("op", "sample"), SAMPLES)
def test_type_is_that_of_numpy(op, sample):
    drawn = operands_of(sample)
    for dtypes in dtype_choices(op, drawn):
        arrays = tuple(array.astype(d) for array, d in zip(drawn, dtypes, strict=True))
        if op.name == "power" and np.result_type(*arrays).kind == "i":
            arrays = tuple(np.abs(array) for array in arrays)
        expected = _numpy_result(op, arrays, sample.attrs)
        nodes = placeholders_for(arrays)
        if expected is None:
            with pytest.raises(DTypeError, match=op.name):
                applied(op, nodes, sample.attrs)
            continue
        node = _applied_if_taken(op, nodes, sample.attrs)
        if node is None:
            continue
        assert (node.dtype, node.shape) == (expected.dtype.name, expected.shape), dtypes
        found = computed(node, nodes, arrays)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), dtypes
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("op", BINARY_UFUNCS)
@pytest.mark.parametrize("number", [2, 1.5])
def test_python_numbers_are_weak(op, number):
    for dtype in DTYPES:
        array = np.ones(3, dtype)
        node = placeholders_for((array,))[0]
        for operands, nodes in (
            ((array, number), (node, number)),
            ((number, array), (number, node)),
        ):
            expected = _numpy_result(op, operands, {})
            if expected is None:
                with pytest.raises(DTypeError, match=op.name):
                    op(*nodes)
            else:
                assert op(*nodes).dtype == expected.dtype.name


@pytest.mark.parametrize(("op", "sample"), SMOOTH)
def test_gradient_is_the_central_difference(op, sample):
    arrays = operands_of(sample)
    nodes = placeholders_for(arrays)
    output = applied(op, nodes, sample.attrs)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, output.shape)
    wrt = [nodes[position] for position in sample.differentiable]
    found = grad((output * Constant(weights)).sum(), wrt)
    for position, gradient in zip(sample.differentiable, found, strict=True):
        expected = np.empty(arrays[position].shape)
        for index in np.ndindex(expected.shape):

            def moved(step, position=position, index=index):
                changed = [array.copy() for array in arrays]
                changed[position][index] += step
                return np.sum(op.numpy(*changed, **sample.attrs) * weights)

            expected[index] = extrapolated(moved)
        assert gradient.shape == expected.shape
        assert relative_error(computed(gradient, nodes, arrays), expected) <= TOLERANCE


@pytest.mark.parametrize(("op", "sample"), SECOND)
def test_second_derivative_is_the_central_difference_of_the_first(op, sample):
    arrays = operands_of(sample)
    nodes = placeholders_for(arrays)
    rng = np.random.default_rng(2)
    output = applied(op, nodes, sample.attrs)
    wrt = [nodes[position] for position in sample.differentiable]
    weights = rng.uniform(0.5, 1.5, output.shape)
    first = grad((output * Constant(weights)).sum(), wrt)
    slope = Constant(0.0, "float64")
    for node, gradient in zip(wrt, first, strict=True):
        slope = slope + (gradient * Constant(rng.uniform(-1, 1, node.shape))).sum()
    second = grad(slope, wrt, allow_unused=True)
    direction = [rng.uniform(-1, 1, node.shape) for node in wrt]

    def moved(step):
        changed = list(arrays)
        for position, change in zip(sample.differentiable, direction, strict=True):
            changed[position] = changed[position] + step * change
        return computed(slope, nodes, tuple(changed))

    found = sum(
        np.sum(computed(gradient, nodes, arrays) * change)
        for gradient, change in zip(second, direction, strict=True)
    )
    assert relative_error(found, extrapolated(moved)) <= TOLERANCE


@pytest.mark.parametrize(("op", "sample"), FLAT)
def test_what_has_no_gradient_is_locally_constant(op, sample):
    arrays = operands_of(sample)
    for position, array in enumerate(arrays):
        if array.dtype.kind != "f":
            continue
        changed = [a + 1e-9 if i == position else a for i, a in enumerate(arrays)]
        np.testing.assert_array_equal(
            op.numpy(*changed, **sample.attrs), op.numpy(*arrays, **sample.attrs)
        )


def test_registry_covers_the_language():
    missing = set(
        """
        add subtract multiply divide floor_divide mod negative power absolute sign floor ceil rint
        trunc minimum maximum clip where equal not_equal less less_equal greater greater_equal
        logical_and logical_or logical_not logical_xor isnan isinf isfinite exp expm1 log log1p sqrt
        rsqrt square reciprocal sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh sigmoid
        softplus relu leaky_relu gelu erf cast stop_gradient check_index
        """.split()
    ) - set(REGISTRY)
    assert not missing


def test_every_op_is_described():
    assert all(op.doc.strip() for op in REGISTRY.values())
    assert all(op.__doc__ == op.doc for op in REGISTRY.values())


def test_float_ops_are_sampled_where_they_are_smooth():
    for op in ELEMENTWISE:
        if op.grad is not NO_GRADIENT:
            assert any(sample.differentiable for sample in op.samples), op
    assert set(FLOATS) < set(DTYPES)
