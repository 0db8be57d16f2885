"""conv2d, deconv2d and their derivatives: values, shapes, errors, bits and memory."""

import itertools

import numpy as np
import pytest

import symgraph as sg

# stride, pad, dilation, groups, kernel
GEOMETRIES = [
    (1, 0, 1, 1, (3, 3)),
    (1, 1, 1, 1, (3, 2)),
    (2, 1, 1, 1, (3, 3)),
    ((1, 2), (0, 2), 1, 2, (2, 5)),
    (3, 2, 2, 1, (2, 3)),
    ((2, 1), 1, (1, 3), 4, (4, 2)),
    (4, 0, 1, 2, (3, 1)),
    (1, 5, 1, 1, (1, 3)),
]


def arange(*shape, dtype="float32"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def parameters(*arrays):
    """Return leaves that no pass can compute with while it compiles."""
    return [sg.Parameter(array) for array in arrays]


def attrs_of(geometry):
    stride, pad, dilation, groups, kernel = geometry
    return {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}, kernel


def convolved(x, w, b=None, **attrs):
    """Convolve by the definition, one window at a time."""
    stride, pad, dilation = (
        sg.nn.pair(attrs.get(n, d)) for n, d in (("stride", 1), ("pad", 0), ("dilation", 1))
    )
    groups = attrs.get("groups", 1)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
    size = tuple(map(sg.nn.get_conv_outsize, x.shape[2:], w.shape[2:], stride, pad, dilation))
    y = np.zeros((x.shape[0], w.shape[0], *size), np.result_type(x, w))
    own, taken = w.shape[0] // groups, w.shape[1]
    for channel, row, column in np.ndindex(*y.shape[1:]):
        first = channel // own * taken
        rows = row * stride[0] + dilation[0] * np.arange(w.shape[2])
        columns = column * stride[1] + dilation[1] * np.arange(w.shape[3])
        window = padded[:, first : first + taken][:, :, rows][:, :, :, columns]
        y[:, channel, row, column] = np.sum(window * w[channel], axis=(1, 2, 3))
    return y if b is None else y + b[:, None, None]


def drawn(rng, geometry, batch=2, dtype="float64"):
    """Return attrs and small whole numbers, so that every sum is exact: x (N, 4, 9, 8) and w."""
    attrs, kernel = attrs_of(geometry)
    x = rng.integers(-4, 5, (batch, 4, 9, 8)).astype(dtype)
    w = rng.integers(-4, 5, (8, 4 // attrs["groups"], *kernel)).astype(dtype)
    return attrs, x, w


class TestRecordedValues:
    def test_forward(self):
        leaves = parameters(arange(1, 1, 4, 4), arange(1, 1, 3, 3), np.ones(1, np.float32))
        f = sg.compile(sg.nn.conv2d(*leaves))
        np.testing.assert_array_equal(f()[0, 0], [[259, 295], [403, 439]])

    def test_padding(self):
        x, w = parameters(arange(1, 1, 4, 4), arange(1, 1, 3, 3))
        y = sg.compile(sg.nn.conv2d(x, w, pad=1))()
        np.testing.assert_array_equal(y[0, 0, 0], [73, 121, 154, 103])
        assert y.sum() == 3390

    def test_stride(self):
        x, w = parameters(arange(1, 1, 7, 7), arange(1, 1, 3, 3))
        y = sg.compile(sg.nn.conv2d(x, w, stride=2))()
        expected = [[420, 492, 564], [924, 996, 1068], [1428, 1500, 1572]]
        np.testing.assert_array_equal(y[0, 0], expected)

    def test_gradients(self):
        x, w, b = parameters(arange(1, 1, 4, 4), arange(1, 1, 3, 3), np.ones(1, np.float32))
        gw, gb = sg.compile(sg.grad(sg.nn.conv2d(x, w, b).sum(), [w, b]))()
        np.testing.assert_array_equal(gw[0, 0], [[10, 14, 18], [26, 30, 34], [42, 46, 50]])
        np.testing.assert_array_equal(gb, [4])

    def test_transposed(self):
        y = sg.compile(sg.nn.deconv2d(*parameters(arange(1, 1, 2, 2), arange(1, 1, 3, 3))))()
        expected = [[0, 0, 1, 2], [0, 5, 11, 11], [6, 23, 29, 23], [12, 32, 37, 24]]
        np.testing.assert_array_equal(y[0, 0], expected)

    def test_transposed_with_stride(self):
        x, w = parameters(arange(1, 1, 2, 2), arange(1, 1, 4, 4))
        y = sg.compile(sg.nn.deconv2d(x, w, stride=2, pad=1))()
        assert y.shape == (1, 1, 4, 4)
        np.testing.assert_array_equal(y[0, 0, 0], [0, 4, 5, 6])

    def test_sizes(self):
        assert sg.nn.get_conv_outsize(4, 3, 1, 0) == 2
        assert sg.nn.get_conv_outsize(4, 3, 1, 1) == 4
        assert sg.nn.get_conv_outsize(7, 3, 2, 0) == 3
        assert sg.nn.get_conv_outsize(224, 7, 2, 3) == 112
        assert sg.nn.get_deconv_outsize(7, 4, 2, 1) == 14
        assert sg.nn.get_deconv_outsize(5, 10, 5, 5) == 20
        assert sg.nn.pair(3) == (3, 3)

    def test_shape_of_the_gradient_of_images(self):
        x = sg.Placeholder("x", (1, 5, 15, 15), "float32")
        y = sg.nn.conv2d(x, np.ones((8, 5, 3, 3), np.float32), pad=1)
        assert y.shape == (1, 8, 15, 15)
        assert sg.grad(y.sum(), x).shape == (1, 5, 15, 15)


class TestAgainstTheDefinition:
    @pytest.mark.parametrize("geometry", GEOMETRIES)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_forward(self, geometry, dtype):
        attrs, x, w = drawn(np.random.default_rng(0), geometry, dtype=dtype)
        b = np.arange(8, dtype=dtype)
        y = sg.compile(sg.nn.conv2d(*parameters(x, w, b), **attrs))()
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, convolved(x, w, b, **attrs))

    @pytest.mark.parametrize("geometry", GEOMETRIES)
    def test_gradients_are_adjoint(self, geometry):
        """The form sum(g * conv(x, w)) is the same through each of its three derivatives."""
        rng = np.random.default_rng(1)
        attrs, x, w = drawn(rng, geometry)
        xs, ws = parameters(x, w)
        y = sg.nn.conv2d(xs, ws, **attrs)
        g = rng.integers(-4, 5, y.shape).astype("float64")
        form = (y * g).sum()
        gx, gw, value = sg.compile([*sg.grad(form, [xs, ws]), form])()
        assert value == np.sum(g * convolved(x, w, **attrs))
        assert np.sum(gx * x) == value
        assert np.sum(gw * w) == value
        # and it is linear in each of them
        step = rng.integers(-4, 5, x.shape)
        assert np.sum(gx * step) == np.sum(g * convolved(step, w, **attrs))
        step = rng.integers(-4, 5, w.shape)
        assert np.sum(gw * step) == np.sum(g * convolved(x, step, **attrs))

    @pytest.mark.parametrize("geometry", GEOMETRIES)
    def test_double_backprop(self, geometry):
        """The gradient's norm has a gradient through weights and images: no rule is missing."""
        rng = np.random.default_rng(2)
        attrs, x, w = drawn(rng, geometry)
        xs, ws = parameters(x / 4, w / 4)
        loss = (sg.tanh(sg.nn.conv2d(xs, ws, **attrs)) ** 2).sum()
        first = sg.grad(loss, [xs, ws])
        slope = sum((g * g).sum() for g in first)
        second = sg.grad(slope, [xs, ws])
        f = sg.compile([slope, *second])
        _, *found = f()
        for parameter, gradient in zip((xs, ws), found, strict=True):
            start, direction = parameter.value, rng.normal(size=gradient.shape)
            values = []
            for step in (1e-5, -1e-5):
                parameter.value = start + step * direction
                values.append(f()[0])
            parameter.value = start
            expected = (values[0] - values[1]) / 2e-5
            assert np.sum(gradient * direction) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("outsize", [None, (7, 8), (8, 10)])
    def test_transposed_is_the_gradient_of_the_images(self, outsize):
        rng = np.random.default_rng(3)
        g, w = rng.normal(size=(2, 4, 3, 3)), rng.normal(size=(4, 3, 3, 4))
        y = sg.nn.deconv2d(*parameters(g, w), stride=(2, 3), pad=(0, 1), outsize=outsize)
        x = sg.Placeholder("x", y.shape, "float64")
        back = sg.grad((sg.nn.conv2d(x, w, stride=(2, 3), pad=(0, 1)) * g).sum(), x)
        given = np.zeros(y.shape)
        np.testing.assert_allclose(sg.compile(y)(), sg.compile(back)(x=given), rtol=1e-12)

    def test_transposed_differentiates_in_both_operands(self):
        rng = np.random.default_rng(4)
        x, w = (
            sg.Parameter(rng.normal(size=(2, 4, 3, 2))),
            sg.Parameter(rng.normal(size=(4, 3, 2, 3))),
        )
        y = sg.nn.deconv2d(x, w, stride=2, pad=1, outsize=(5, 4))
        g = rng.normal(size=y.shape)
        form = (y * g).sum()
        gx, gw, value = sg.compile([*sg.grad(form, [x, w]), form])()
        assert np.sum(gx * x.value) == pytest.approx(value)
        assert np.sum(gw * w.value) == pytest.approx(value)

    @pytest.mark.parametrize("dtype", ["int32", "int64"])
    def test_integers_wrap_as_in_numpy(self, dtype):
        rng = np.random.default_rng(5)
        limits = np.iinfo(dtype)
        x = rng.integers(limits.min, limits.max, (2, 4, 9, 8), dtype)
        w = rng.integers(limits.min, limits.max, (8, 2, 3, 3), dtype)
        y = sg.nn.conv2d(*parameters(x, w), stride=2, pad=1, groups=2)
        found = sg.compile(y)()
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, sg.compile(y, mode="reference")())

    def test_dtypes_promote(self):
        y = sg.nn.conv2d(*parameters(arange(1, 1, 3, 3, dtype="int32"), arange(1, 1, 2, 2)))
        assert y.dtype == "float64"
        np.testing.assert_array_equal(sg.compile(y)()[0, 0], [[19, 25], [37, 43]])


class TestAgainstTorch:
    @pytest.mark.parametrize("geometry", GEOMETRIES)
    def test_forward_and_gradients(self, geometry):
        torch = pytest.importorskip("torch")
        rng = np.random.default_rng(6)
        attrs, x, w = drawn(rng, geometry, dtype="float32")
        b = rng.normal(size=8).astype("float32")
        ours = parameters(x, w, b)
        theirs = [torch.tensor(array, requires_grad=True) for array in (x, w, b)]
        named = {("padding" if key == "pad" else key): value for key, value in attrs.items()}
        expected = torch.nn.functional.conv2d(*theirs, **named)
        (expected**2).sum().backward()
        y = sg.nn.conv2d(*ours, **attrs)
        found, *gradients = sg.compile([y, *sg.grad((y * y).sum(), ours)])()
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5, atol=1e-4)
        for gradient, leaf in zip(gradients, theirs, strict=True):
            np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-4, atol=1e-2)

    def test_transposed(self):
        torch = pytest.importorskip("torch")
        rng = np.random.default_rng(7)
        x, w = rng.normal(size=(2, 4, 5, 3)), rng.normal(size=(4, 3, 3, 2))
        b = rng.normal(size=6)
        expected = torch.nn.functional.conv_transpose2d(
            *map(torch.tensor, (x, w, b)), stride=(2, 3), padding=1, groups=2, dilation=(1, 2),
            output_padding=(1, 2),
        ).numpy()  # fmt: skip
        y = sg.nn.deconv2d(
            *parameters(x, w, b),
            stride=(2, 3),
            pad=1,
            groups=2,
            dilation=(1, 2),
            outsize=expected.shape[2:],
        )
        np.testing.assert_allclose(sg.compile(y)(), expected, rtol=1e-12, atol=1e-12)


class TestExtents:
    def test_one_compile_serves_every_batch_and_size(self):
        x = sg.Placeholder("x", ("N", 3, "H", "W"), "float32")
        w = sg.Parameter(np.random.default_rng(0).integers(-3, 4, (4, 3, 3, 3)).astype("float32"))
        y = sg.nn.conv2d(x, w, stride=2, pad=1)
        gradients = sg.grad((y * y).sum(), [x, w])
        f = sg.compile([y, *gradients])
        rng = np.random.default_rng(1)
        for shape in ((1, 5, 4), (7, 2, 9), (0, 5, 4), (3, 1, 1), (2, 30, 17)):
            images = rng.integers(-3, 4, (shape[0], 3, *shape[1:])).astype("float32")
            found, gx, gw = f(images)
            expected = convolved(images, w.value, stride=2, pad=1)
            np.testing.assert_array_equal(found, expected)
            assert gx.shape == images.shape
            assert np.sum(gx * images) == np.sum(gw * w.value) == 2 * np.sum(expected**2)
        assert f.compile_count == 1

    def test_symbolic_sizes_are_formulas(self):
        x = sg.Placeholder("x", ("N", 1, "H", "W"), "float32")
        y = sg.nn.conv2d(x, np.ones((1, 1, 3, 3), np.float32), stride=2, pad=1)
        assert str(y.shape) == "(N, 1, (H + 1)//2, (W + 1)//2)"
        back = sg.nn.deconv2d(y, np.ones((1, 1, 4, 4), np.float32), stride=2, pad=1)
        assert str(back.shape[2]) == "2*(H + 1)//2"

    def test_open_ranks_wait_for_the_call(self):
        x = sg.Placeholder("x")
        f = sg.compile(sg.grad(sg.nn.conv2d(x, arange(1, 1, 2, 2), pad=1).sum(), x))
        np.testing.assert_array_equal(
            f(np.ones((1, 1, 2, 3), np.float32)), np.full((1, 1, 2, 3), 6)
        )

    @pytest.mark.parametrize("kernel", [(1, 1), (5, 4), (5, 1)])
    def test_a_kernel_of_one_and_one_as_large_as_the_image(self, kernel):
        rng = np.random.default_rng(2)
        x, w = rng.integers(-4, 5, (3, 2, 5, 4)), rng.integers(-4, 5, (6, 2, *kernel))
        y = sg.compile(sg.nn.conv2d(*parameters(x.astype("float32"), w.astype("float32"))))()
        np.testing.assert_array_equal(y, convolved(x, w))

    def test_no_channels_give_zeros(self):
        x, w = sg.Parameter(np.ones((2, 0, 4, 4))), sg.Parameter(np.ones((3, 0, 3, 3)))
        y = sg.nn.conv2d(x, w)
        found, gx, gw = sg.compile([y, *sg.grad(y.sum(), [x, w])])()
        np.testing.assert_array_equal(found, np.zeros((2, 3, 2, 2)))
        assert (gx.shape, gw.shape) == ((2, 0, 4, 4), (3, 0, 3, 3))

    def test_an_empty_batch_has_a_zero_weight_gradient(self):
        x = sg.Placeholder("x", ("N", 2, 4, 4), "float32")
        w = sg.Parameter(np.ones((3, 2, 3, 3), np.float32))
        f = sg.compile(sg.grad(sg.nn.conv2d(x, w).sum(), w))
        np.testing.assert_array_equal(f(np.ones((0, 2, 4, 4), np.float32)), np.zeros((3, 2, 3, 3)))


# Shapes of images and weights, stride, pad: large enough to be shared, with panels that end inside
# an image, gathered and scattered.
SHARED = [
    ((9, 16, 13, 14), (24, 16, 3, 3), 1, 1),
    ((5, 8, 21, 20), (32, 4, 5, 3), 2, 2),
    ((6, 3, 30, 30), (16, 3, 5, 5), 1, 0),
    ((7, 32, 9, 7), (32, 32, 3, 3), 1, 1),
]


class TestBits:
    def functions(self, case, threads):
        shape, weight, stride, pad = case
        groups = shape[1] // weight[1]
        x = sg.Placeholder("x", ("N", *shape[1:]), "float32")
        w = sg.Parameter(np.random.default_rng(0).normal(size=weight).astype("float32"))
        y = sg.nn.conv2d(x, w, stride=stride, pad=pad, groups=groups)
        return sg.compile([y, *sg.grad((y * y).sum(), [x, w])], threads=threads)

    @pytest.mark.parametrize("case", SHARED)
    def test_threads_do_not_change_them(self, case):
        x = np.random.default_rng(1).normal(size=case[0]).astype("float32")
        one, *others = (self.functions(case, threads)(x) for threads in (1, 2, 3))
        for found, expected in itertools.product(others, [one]):
            for array, wanted in zip(found, expected, strict=True):
                np.testing.assert_array_equal(array, wanted)

    @pytest.mark.parametrize("case", SHARED)
    def test_an_image_has_the_same_ones_in_every_batch(self, case):
        x = np.random.default_rng(1).normal(size=case[0]).astype("float32")
        f = self.functions(case, 2)
        whole = f(x)
        for first, last in ((0, 1), (1, 4), (4, 5)):
            part = f(x[first:last])
            for array, wanted in zip(part[:2], whole[:2], strict=True):
                np.testing.assert_array_equal(array, wanted[first:last])


class TestMemory:
    def step(self):
        """Return a train step of two convolutions, and the bytes of its activations and weights."""
        x = sg.Placeholder("x", ("N", 8, 28, 28), "float32")
        first = sg.Parameter(np.full((32, 8, 5, 5), 0.01, np.float32))
        second = sg.Parameter(np.full((32, 32, 5, 5), 0.01, np.float32))
        hidden = sg.nn.conv2d(x, first, pad=2)
        y = sg.nn.conv2d(hidden, second, pad=2)
        loss = (y * y).mean()
        gradients = sg.grad(loss, [first, second])
        updates = {p: p - 0.1 * g for p, g in zip((first, second), gradients, strict=True)}
        images = 28 * 28 * (8 + 32 + 32)
        return sg.compile(loss, updates=updates), 4 * images, 4 * (first.size + second.size)

    def test_a_step_needs_less_than_twice_its_activations_and_weights(self):
        f, image, weights = self.step()
        for batch in (1, 16, 128):
            # The matrix of all windows of the second layer alone would be 25 hidden layers large.
            assert f.memory(N=batch).total < 2 * (batch * image + weights)

    def test_the_plan_is_the_truth(self):
        f, _, _ = self.step()
        peak = f.memory(N=64).total
        f(np.ones((64, 8, 28, 28), np.float32))
        assert f.memory(N=64).total == peak

    def test_operations_are_counted(self):
        x = sg.Placeholder("x", ("N", 2, 5, 5), "float32")
        w = sg.Parameter(np.ones((4, 2, 3, 3), np.float32))
        y = sg.nn.conv2d(x, w)
        text = str(sg.compile([y, *sg.grad((y * y).sum(), [x, w])]).explain())
        # 36 results of 18 products and sums each, in all three directions.
        assert text.count("computes 1296*N FLOP") == 3
        assert "sum of the parts of convolution_weight" in text
