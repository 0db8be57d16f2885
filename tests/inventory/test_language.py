"""Rows of A (the graph language) and of B (ops) that stand nowhere else."""

import configparser
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph import Placeholder, compile, grad, nn
from symgraph.op import REGISTRY
from symgraph.ops.elementwise import between, elementwise, like
from tests.inventory_rows import array, scalars

ROOT = Path(__file__).parents[2]


@pytest.fixture
def square():
    """An op of the user's own: values, native code, a symbolic gradient and a rule for dtypes."""
    yield elementwise(
        "users_square",
        numpy=np.square,
        scalar=lambda s, x: s.mul(x, x),
        grad=lambda g, y, x: (2 * g * x,),
        domain=[between(-3, 3)],
        dtypes=like(np.square),
        doc="x^2, element by element.",
    )
    del REGISTRY["users_square"]


@pytest.mark.inventory("A5")
def test_an_op_of_the_users_own(square):
    (x,) = scalars("x")
    y = square(x)
    slope = grad(y, x)
    outputs = [y, slope, grad(slope, x)]
    for mode in ("native", "reference"):
        assert [float(v) for v in compile(outputs, mode=mode)(x=10.0)] == [100, 20, 2]
    assert square(Placeholder("n", (3,), "int32")).dtype == "int32"
    with pytest.raises(sg.DTypeError, match=r"users_square.*(\n.*)*test_language\.py"):
        square(Placeholder("b", (3,), "bool")) + "text"


@pytest.mark.inventory("A1")
def test_one_function_for_numbers_and_vectors():
    a, b = Placeholder("a"), Placeholder("b")
    f = compile(a * b + sg.Constant(1))
    assert f.compile_count == 0
    assert f(a=2, b=3) == 7
    np.testing.assert_array_equal(f(a=np.ones(10), b=2 * np.ones(10)), np.full(10, 3.0))
    assert (f(a=4, b=5), f.compile_count) == (21, 2)


@pytest.mark.inventory("A15")
def test_the_layout_of_the_package():
    folders = ("symgraph", "compiler", "runtime", "examples", "benchmarks", "tests", "docs", ".ci")
    assert all((ROOT / folder).is_dir() for folder in folders)
    names = {"Placeholder", "Constant", "Parameter", "cond", "compile", "grad", "nn", "optim"}
    assert names <= set(sg.__all__)
    assert all(hasattr(sg, name) for name in sg.__all__)
    assert "pytest" in (ROOT / "Makefile").read_text(encoding="utf-8")
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    assert settings["tool:pytest"]["testpaths"] == "tests"


@pytest.mark.inventory("D10")
def test_small_slopes_at_the_published_points():
    x, w, b = scalars("xwb")
    assert float(compile(grad(x**2, x))(x=3.0)) == 6
    y = x * w + b
    slopes = compile(grad(y, [x, w, b]), inputs=[x, w, b])(3.0, 2.0, 1.0)
    assert [float(v) for v in slopes] == [2, 3, 1]


@pytest.mark.inventory("D6")
def test_50_000_updates_end_at_the_minimum():
    x, y = sg.Parameter(0.0, "x"), sg.Parameter(2.0, "y")
    loss = 100 * (y - x**2) ** 2 + (x - 1) ** 2
    step = compile(loss, updates=sg.optim.SGD(0.001).updates(loss, [x, y]))
    for _ in range(50_000):
        step()
    np.testing.assert_allclose([x.value, y.value], [1, 1], rtol=0, atol=2e-9)


@pytest.mark.inventory("B.Affine")
def test_an_affine_layer_is_a_product_with_its_epilogue():
    x, w, b = array("x", 32, 4), array("w", 4, 10), array("b", 10)
    layer = nn.relu(x @ w + b)
    assert layer.shape == (32, 10)
    f = compile(layer)
    generator = np.random.default_rng(0)
    feeds = {n.name: generator.normal(size=n.shape) for n in (x, w, b)}
    before = {name: value.copy() for name, value in feeds.items()}
    expected = np.maximum(feeds["x"] @ feeds["w"] + feeds["b"], 0)
    np.testing.assert_allclose(f(**feeds), expected, rtol=1e-12, atol=1e-14)
    assert all(np.array_equal(feeds[name], before[name]) for name in feeds)
    assert len(f.kernels) <= 2


@pytest.mark.inventory("B.Reshape")
def test_flatten_keeps_the_first_axis():
    x = array("x", "N", 3, 4)
    y = nn.flatten(x)
    f = compile([y, grad(sg.sum(y), x)])
    values = np.arange(24.0).reshape(2, 3, 4)
    flat, slope = f(x=values)
    np.testing.assert_array_equal(flat, values.reshape(2, 12), strict=True)
    np.testing.assert_array_equal(slope, np.ones((2, 3, 4)), strict=True)


@pytest.mark.inventory("B.DropoutDirect")
def test_direct_dropout_scales_when_testing():
    """The other way round than inverted dropout: (1 - ratio) dropout(x) trains, (1 - ratio) x."""
    ratio = Placeholder("ratio", (), "float64")
    ones = np.ones(20_000)
    train = compile((1 - ratio) * nn.dropout(ones, ratio, seed=0))
    test = compile((1 - ratio) * nn.dropout(sg.Constant(ones), ratio, training=False))
    masked = train(ratio=0.4)
    assert np.unique(masked).tolist() == pytest.approx([0, 1])
    assert masked.mean() == pytest.approx(test(ratio=0.4).mean(), abs=0.02)
    np.testing.assert_allclose(test(ratio=0.4), 0.6)


@pytest.mark.inventory("B.TensorPower", "V.operators")
def test_powers_by_arrays_and_of_numbers():
    x, p = array("x", 2), array("p", 2)
    y = x**p
    value, by_x, by_p = compile([y, *grad(sg.sum(y), [x, p])])(x=[2.0, 3.0], p=[3.0, 2.0])
    np.testing.assert_allclose(value, [8, 9], rtol=1e-15)
    np.testing.assert_allclose(by_x, [12, 6], rtol=1e-15)
    np.testing.assert_allclose(by_p, [8 * np.log(2), 9 * np.log(3)], rtol=1e-15)
    (z,) = scalars("z")
    value, slope = compile([2**z, grad(2**z, z)])(z=3.0)
    np.testing.assert_allclose([value, slope], [8, 8 * np.log(2)], rtol=1e-15)


@pytest.mark.inventory("B.MatMulOperator", "V.operators")
def test_the_operator_of_matrix_products_also_reflected():
    x = array("x", 2, 3)
    left = np.arange(8.0).reshape(4, 2)
    y = left @ x @ np.ones((3, 2))
    assert isinstance(y, sg.Node)
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(compile(y)(x=values), left @ values @ np.ones((3, 2)))


@pytest.mark.inventory("B.Sqrt")
def test_square_roots():
    (x,) = scalars("x")
    assert [float(v) for v in compile([sg.sqrt(x), grad(sg.sqrt(x), x)])(x=4.0)] == [2, 0.25]


@pytest.mark.inventory("B.Cast")
def test_casts_and_their_slopes():
    x = Placeholder("x", (3,), "float32")
    y = sg.cast(x, "float64")
    value, slope, whole = compile([y, grad(sg.sum(y * y), x), sg.cast(x, "int32")])(
        x=np.array([1.5, -2.75, 3.0], "float32")
    )
    assert (value.dtype, slope.dtype, whole.dtype) == ("float64", "float32", "int32")
    np.testing.assert_array_equal(slope, [3, -5.5, 6])
    np.testing.assert_array_equal(whole, [1, -2, 3])


@pytest.mark.inventory("V.operators")
def test_absolute_values_and_comparisons():
    x = array("x", 3)
    y = sg.sum(sg.where(abs(x) > 1, abs(x), 0.0))
    value, slope, mask = compile([y, grad(y, x), x <= 0])(x=[-2.0, 0.5, 3.0])
    assert float(value) == 5
    np.testing.assert_array_equal(slope, [-1, 0, 1])
    np.testing.assert_array_equal(mask, [True, False, False])
