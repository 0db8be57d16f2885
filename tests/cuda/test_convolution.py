"""Convolution, its transpose and its weight's gradient on the emulated GPU."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.compiler.cuda import convolution as rules
from symgraph.ops.convolution_core import (
    CONVOLUTION,
    CONVOLUTION_INPUT,
    CONVOLUTION_WEIGHT,
    geometry,
)
from symgraph.ops.windows import conv_outsize
from symgraph.runtime.cuda import tiles
from symgraph.runtime.cuda.tiles import ConvolutionWords

RTOL = {"float32": 2e-5, "float64": 1e-11, "int32": 0, "int64": 0}

# Batch, groups, inputs and filters of a group, image, kernel; then stride, pad and dilation.
CASES = {
    "plain": ((3, 1, 4, 9), (9, 8), (3, 3), {}),
    "padded": ((3, 1, 4, 9), (9, 9), (3, 3), {"pad": (1, 1)}),
    "strides": ((2, 1, 3, 10), (17, 18), (3, 2), {"stride": (2, 1), "pad": (1, 0)}),
    "wide strides": ((2, 1, 3, 10), (11, 13), (2, 2), {"stride": (3, 4)}),
    "dilation": ((2, 1, 3, 10), (12, 13), (3, 3), {"dilation": (2, 3), "pad": (2, 3)}),
    "all": (
        (2, 1, 3, 10), (12, 13), (3, 2),
        {"stride": (2, 3), "pad": (3, 1), "dilation": (2, 1)},
    ),
    "few windows": ((5, 1, 4, 9), (4, 3), (3, 3), {"pad": (1, 1)}),
    "one window": ((5, 1, 4, 9), (3, 3), (3, 3), {}),
    "pointwise": ((2, 1, 5, 9), (9, 8), (1, 1), {}),
    "pointwise, one window": ((5, 1, 5, 9), (1, 1), (1, 1), {}),
    "pointwise, strided": ((2, 1, 5, 9), (17, 16), (1, 1), {"stride": (2, 2)}),
    "pointwise, padded": ((2, 1, 5, 9), (7, 8), (1, 1), {"pad": (1, 1)}),
    "groups": ((3, 2, 2, 9), (5, 6), (3, 3), {"pad": (1, 1)}),
    "three groups": ((2, 3, 1, 10), (4, 4), (2, 2), {"stride": (2, 2)}),
    "few filters": ((2, 1, 4, 3), (6, 5), (3, 3), {"pad": (1, 1)}),
    "depthwise": ((2, 6, 1, 1), (7, 6), (3, 3), {"pad": (1, 1), "stride": (2, 2)}),
    "depthwise, two each": ((2, 4, 1, 2), (7, 6), (3, 2), {"dilation": (1, 2)}),
    "one image": ((1, 1, 3, 9), (9, 8), (3, 3), {"pad": (1, 1)}),
    "no image": ((0, 1, 3, 9), (9, 8), (3, 3), {"pad": (1, 1)}),
    "no image, few filters": ((0, 1, 3, 2), (9, 8), (3, 3), {"pad": (1, 1)}),
    "no inputs": ((2, 1, 0, 9), (9, 8), (3, 3), {}),
    "no filters": ((2, 1, 3, 0), (9, 8), (3, 3), {}),
}  # fmt: skip


def _arrays(case, dtype):
    """Return images, weight and outputs of a case, and the attrs of its ops."""
    (batch, groups, inputs, filters), image, kernel, attrs = CASES[case]
    attrs = geometry(**attrs, groups=groups)
    windows = [
        conv_outsize(e, k, attrs["stride"][i], attrs["pad"][i], attrs["dilation"][i])
        for i, (e, k) in enumerate(zip(image, kernel, strict=True))
    ]
    shapes = (
        (batch, groups * inputs, *image),
        (groups * filters, inputs, *kernel),
        (batch, groups * filters, *windows),
    )
    rng = np.random.default_rng(len(case))
    if dtype.startswith("int"):
        return [rng.integers(-9, 10, size=s).astype(dtype) for s in shapes], attrs
    return [rng.normal(size=s).astype(dtype) for s in shapes], attrs


def _ops(case, dtype):
    """Return for each of the three ops its two operands and its attrs."""
    (x, w, g), attrs = _arrays(case, dtype)
    return (
        (CONVOLUTION, (x, w), attrs),
        (CONVOLUTION_INPUT, (g, w), {**attrs, "size": x.shape[2:]}),
        (CONVOLUTION_WEIGHT, (x, g), {**attrs, "kernel": w.shape[2:]}),
    )


def _check(op, operands, attrs, shapes=None):
    """Compare an op on the device with its reference, twice: a second run gives the same bits."""
    dtype = str(operands[0].dtype)
    nodes = [
        sg.Placeholder(name, array.shape if shapes is None else shape, dtype)
        for name, array, shape in zip("ab", operands, shapes or (None, None), strict=True)
    ]
    f = sg.compile(op(*nodes, **attrs), inputs=nodes, device="cuda")
    found = f(*operands)
    wanted = op.numpy(*operands, **attrs)
    assert found.dtype == wanted.dtype
    scale = np.abs(wanted).max(initial=1)
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=RTOL[dtype])
    np.testing.assert_array_equal(f(*operands), found)


@pytest.mark.parametrize("case", CASES)
def test_floats(cuda, case):
    for op, operands, attrs in _ops(case, "float32"):
        _check(op, operands, attrs)


@pytest.mark.parametrize("case", ["all", "few windows", "groups", "depthwise", "pointwise"])
@pytest.mark.parametrize("dtype", ["float64", "int32", "int64"])
def test_other_dtypes(cuda, case, dtype):
    for op, operands, attrs in _ops(case, dtype):
        _check(op, operands, attrs)


@pytest.mark.parametrize(
    "case", ["plain", "all", "few windows", "pointwise", "groups", "no image", "depthwise"]
)
@pytest.mark.parametrize("images", [1, 2])
def test_several_tiles(cuda, case, images, monkeypatch):
    (x, w, g), _ = _arrays(case, "float32")
    taken = x.shape[1] * w.shape[2] * w.shape[3] * g.shape[2] * g.shape[3]
    monkeypatch.setattr(rules, "TILE_BYTES", 4 * taken * images)
    for op, operands, attrs in _ops(case, "float32"):
        _check(op, operands, attrs)


@pytest.mark.parametrize("case", ["plain", "few windows", "groups"])
@pytest.mark.parametrize("images", [2, 100])
def test_gradients_in_parts(cuda, case, images, monkeypatch):
    (x, w, g), attrs = _arrays(case, "float32")
    taken = x.shape[1] * w.shape[2] * w.shape[3] * g.shape[2] * g.shape[3]
    monkeypatch.setattr(rules, "TILE_BYTES", 4 * taken * images)
    monkeypatch.setattr(tiles, "LEAST_SUMMED", 7)
    before = cuda.counts["gemm"]
    _check(CONVOLUTION_WEIGHT, (x, g), {**attrs, "kernel": w.shape[2:]})
    assert cuda.counts["gemm"] > before
    counts = {product[5] for product in cuda.cublas.products}
    assert max(counts) > 1


@pytest.mark.parametrize("case", ["depthwise", "few filters"])
def test_direct_gradients_in_parts(cuda, case, monkeypatch):
    monkeypatch.setattr(rules, "LEAST_POSITIONS", 5)
    for dtype in ("float32", "int64"):
        _check(*_ops(case, dtype)[2])


@pytest.mark.parametrize("case", ["plain", "all", "groups", "depthwise", "few windows", "no image"])
def test_open_extents(cuda, case):
    open_batch = [
        tuple("N" if axis == 0 and which == 0 else e for axis, e in enumerate(array.shape))
        for which, array in enumerate(_arrays(case, "float32")[0][:2])
    ]
    for op, operands, attrs in _ops(case, "float32"):
        if op is CONVOLUTION:
            _check(op, operands, attrs, open_batch)
            _check(op, operands, attrs, [("N", operands[0].shape[1], "H", "W"), operands[1].shape])
        elif op is CONVOLUTION_INPUT:
            _check(op, operands, attrs, [("N", *operands[0].shape[1:]), operands[1].shape])
        else:
            shapes = [("N", *array.shape[1:]) for array in operands]
            _check(op, operands, attrs, shapes)


def test_open_channels_and_kernel(cuda):
    (x, w, _), attrs = _arrays("padded", "float32")
    shapes = [("N", "C", "H", "W"), ("F", "C", "K", "L")]
    _check(CONVOLUTION, (x, w), attrs, shapes)
    _check(CONVOLUTION, tuple(a.astype(np.int32) for a in (x, w)), attrs, shapes)


@pytest.mark.parametrize("case", ["depthwise", "groups", "all"])
def test_integers_wrap(cuda, case):
    (x, w, g), attrs = _arrays(case, "int32")
    for array in (x, w, g):
        array *= 100_003
    _check(CONVOLUTION, (x, w), attrs)
    _check(CONVOLUTION_INPUT, (g, w), {**attrs, "size": x.shape[2:]})
    _check(CONVOLUTION_WEIGHT, (x, g), {**attrs, "kernel": w.shape[2:]})


@pytest.mark.parametrize("case", ["plain", "few windows", "groups", "depthwise", "few filters"])
def test_the_order_of_threads_decides_nothing(cuda, case):
    for op, operands, attrs in _ops(case, "float32"):
        nodes = [sg.Placeholder(n, a.shape, "float32") for n, a in zip("ab", operands, strict=True)]
        f = sg.compile(op(*nodes, **attrs), inputs=nodes, device="cuda")
        forwards = f(*operands)
        with cuda.reverse():
            np.testing.assert_array_equal(f(*operands), forwards)


@pytest.mark.parametrize("case", ["padded", "few windows", "groups", "depthwise", "few filters"])
def test_padding_is_zeros_that_are_multiplied(cuda, case):
    (x, w, g), attrs = _arrays(case, "float32")
    w[..., 0, 0] = np.inf
    nodes = [sg.Placeholder(n, a.shape, "float32") for n, a in zip("ab", (x, w), strict=True)]
    f = sg.compile(CONVOLUTION(*nodes, **attrs), inputs=nodes, device="cuda")
    with np.errstate(invalid="ignore"):
        wanted = CONVOLUTION.numpy(x, w, **attrs)
    np.testing.assert_array_equal(np.isnan(f(x, w)), np.isnan(wanted))
    g[0, :, 0, 0] = np.inf
    nodes = [sg.Placeholder(n, a.shape, "float32") for n, a in zip("ab", (x, g), strict=True)]
    attrs = {**attrs, "kernel": w.shape[2:]}
    f = sg.compile(CONVOLUTION_WEIGHT(*nodes, **attrs), inputs=nodes, device="cuda")
    with np.errstate(invalid="ignore"):
        wanted = CONVOLUTION_WEIGHT.numpy(x, g, **attrs)
    np.testing.assert_array_equal(np.isnan(f(x, g)), np.isnan(wanted))


def test_a_column_matrix_of_the_whole_batch_is_never_made(cuda, monkeypatch):
    monkeypatch.setattr(rules, "TILE_BYTES", 1 << 16)
    x = sg.Placeholder("x", ("N", 8, 16, 16), "float32")
    w = sg.Placeholder("w", (16, 8, 3, 3), "float32")
    f = sg.compile(CONVOLUTION(x, w, **geometry(pad=(1, 1))), inputs=[x, w], device="cuda")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(np.float32) for s in ((20, 8, 16, 16), (16, 8, 3, 3))]
    wanted = CONVOLUTION.numpy(*arrays, **geometry(pad=(1, 1)))
    np.testing.assert_allclose(f(*arrays), wanted, rtol=1e-4, atol=1e-4)
    assert len(cuda.cublas.products) == 20  # one image's columns are 72 KB


def test_a_pointwise_convolution_is_one_product(cuda):
    x = sg.Placeholder("x", ("N", 12, 16, 16), "float32")
    w = sg.Placeholder("w", (16, 12, 1, 1), "float32")
    f = sg.compile(CONVOLUTION(x, w, **geometry()), inputs=[x, w], device="cuda")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(np.float32) for s in ((3, 12, 16, 16), (16, 12, 1, 1))]
    f(*arrays)
    assert (cuda.counts["gemm"], cuda.counts["launch"]) == (1, 0)


def test_convolution_follows_the_precision(cuda):
    (x, w, _), attrs = _arrays("plain", "float32")
    nodes = [sg.Placeholder(n, a.shape, "float32") for n, a in zip("ab", (x, w), strict=True)]
    f = sg.compile(CONVOLUTION(*nodes, **attrs), inputs=nodes, device="cuda", precision="tf32")
    found, wanted = f(x, w), CONVOLUTION.numpy(x, w, **attrs)
    assert {product[-1] for product in cuda.cublas.products} == {"tf32"}
    assert 1e-5 < np.abs(found - wanted).max() < 0.05


FORMS = {
    "plain": "images", "few windows": "merged", "groups": "merged", "pointwise": "pointwise",
    "pointwise, one window": "merged", "pointwise, strided": "images",
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_how_columns_are_arranged(case):
    (x, w, _), attrs = _arrays(case, "float32")
    nodes = [sg.Placeholder(n, a.shape, "float32") for n, a in zip("ab", (x, w), strict=True)]
    node = CONVOLUTION(*nodes, **attrs)
    assert rules.Shapes(node, *nodes, node).form == FORMS[case]


def test_a_step_of_training_agrees_with_numpy(cuda):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(6, 2, 8, 8)).astype(np.float32)
    filters = (rng.normal(size=(12, 2, 3, 3)) / 3).astype(np.float32)
    results = []
    for options in ({"mode": "reference"}, {"device": "cuda"}):
        w, b = sg.Parameter(filters), sg.Parameter(np.zeros(12, np.float32))
        x = sg.Placeholder("x", ("N", 2, 8, 8), "float32")
        y = sg.nn.max_pool2d(sg.relu(sg.nn.conv2d(x, w, b, pad=1)), 2)
        y = sg.nn.conv2d(y, sg.transpose(w, (1, 0, 2, 3)), pad=1)
        loss = sg.mean(y * y)
        updates = {p: p - 0.001 * sg.grad(loss, p) for p in (w, b)}
        f = sg.compile(loss, updates=updates, **options)
        results.append(([float(f(x=images)) for _ in range(3)], w.value, b.value))
    for host, device in zip(*results, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-4, atol=1e-5)


def test_tiles_are_about_as_large():
    words = ConvolutionWords(*[0] * 6, 65, *[1] * 9, 60)
    assert words.tiles() == [(0, 33), (33, 32)]
    assert words._replace(batch=0).tiles() == []
    assert words._replace(batch=60).tiles() == [(0, 60)]
    assert words._replace(batch=3, capacity=1).tiles() == [(0, 1), (1, 1), (2, 1)]


def test_what_is_known_stands_in_the_text():
    known = rules.Window((9, 9), (9, 9), (3, 3), (1, 1), (1, 1), (1, 1))
    n = sg.Placeholder("x", ("H",), "float32").type.dims[0]
    open_ = rules.Window((n, n), (n, n), (3, 3), (1, 1), (1, 1), (1, 1))
    huge = rules.Window((1 << 30, 9), (1 << 30, 9), (3, 3), (1, 1), (1, 1), (1, 1))
    assert (known.place, open_.place, huge.place) == ("int", "Word", "Word")
    code = rules.columns_kernel("float32", known, 4).code
    assert "const int height = 9;" in code
    assert "const Word height = (Word)a4;" in rules.columns_kernel("float32", open_, 4).code
