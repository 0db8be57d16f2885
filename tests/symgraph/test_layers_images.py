"""Layers for images: convolution, its transpose, batch and layer normalisation."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import BatchNorm, Conv2d, Deconv2d, LayerNorm

HERE = r"(?s:.*)test_layers_images\.py:"
MODES = pytest.mark.parametrize("mode", ["native", "reference"])


def _images(*shape, dtype="float32", name="x"):
    return sg.Placeholder(name, shape, dtype)


# Convolution.


@pytest.mark.inventory("E3")
@MODES
def test_a_convolution_of_15_by_15_keeps_the_size(mode):
    layer = Conv2d(8, 3, stride=1, pad=1, seed=0)
    x = _images(1, 5, 15, 15)
    y = layer(x)
    assert (y.shape, layer.in_channels, layer.W.shape, layer.b.shape) == (
        (1, 8, 15, 15), 5, (8, 5, 3, 3), (8,),
    )  # fmt: skip
    fed = np.random.default_rng(0).standard_normal((1, 5, 15, 15)).astype("float32")
    value, slope = sg.compile([y, sg.grad(y.sum(), x)], mode=mode)(x=fed)
    assert (value.shape, slope.shape) == ((1, 8, 15, 15), (1, 5, 15, 15))
    corner = (fed[0, :, :2, :2] * layer.W.value[0, :, 1:, 1:]).sum()
    assert value[0, 0, 0, 0] == pytest.approx(corner, rel=1e-4)
    np.testing.assert_allclose(slope[0, :, 7, 7], layer.W.value.sum((0, 2, 3)), rtol=1e-4)


@pytest.mark.inventory("E3")
def test_a_filter_bank_has_an_axis_for_channels():
    assert Conv2d(20, 5, in_channels=3).W.shape == (20, 3, 5, 5)
    assert Conv2d(20, (5, 3), in_channels=6, groups=2).W.shape == (20, 3, 5, 3)
    assert Deconv2d(20, 5, in_channels=3).W.shape == (3, 20, 5, 5)
    assert Deconv2d(20, (5, 3), in_channels=6, groups=2).W.shape == (6, 10, 5, 3)


@pytest.mark.inventory("E3")
@pytest.mark.parametrize("kind", [Conv2d, Deconv2d])
def test_weights_are_scaled_by_what_an_output_is_computed_from(kind):
    weights = kind(64, 5, in_channels=32, seed=np.random.RandomState(0)).W.value
    expected = np.random.RandomState(0).randn(*weights.shape) / np.sqrt(32 * 5 * 5)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_a_transposed_convolution_undoes_the_shape():
    layer = Deconv2d(3, 4, stride=2, pad=1)
    assert layer(_images("N", 8, 14, 14)).shape[1:] == (3, 28, 28)
    other = Deconv2d(3, 3, stride=2, pad=1, outsize=(28, 27), bias=False)
    assert other(_images("N", 8, 14, 14)).shape[1:] == (3, 28, 27)
    assert other.b is None


@MODES
def test_arange_through_both_convolutions(mode):
    conv = Conv2d(1, 3, in_channels=1, dtype="float64")
    conv.W.value, conv.b.value = np.arange(9.0).reshape(1, 1, 3, 3), [1.0]
    x = _images("N", 1, "H", "W", dtype="float64")
    f = sg.compile(conv(x), mode=mode)
    fed = np.arange(16.0).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(f(x=fed)[0, 0], [[259, 295], [403, 439]])
    back = Deconv2d(1, 3, in_channels=1, dtype="float64", bias=False)
    back.W.value = np.arange(9.0).reshape(1, 1, 3, 3)
    found = sg.compile(back(x), mode=mode)(x=np.arange(4.0).reshape(1, 1, 2, 2))
    rows = [[0, 0, 1, 2], [0, 5, 11, 11], [6, 23, 29, 23], [12, 32, 37, 24]]
    np.testing.assert_array_equal(found[0, 0], rows)


@pytest.mark.parametrize("kind", [Conv2d, Deconv2d])
def test_wrong_images_are_refused(kind):
    layer = kind(8, 3, in_channels=3, name="conv")
    message = rf"<{kind.__name__} 'conv'> is for 3 channels, but axis 1 has 4: 'y' .*{HERE}"
    with pytest.raises(sg.ShapeError, match=message):
        layer(_images("N", 4, 9, 9, name="y"))
    for dims in (("N",), ("N", 3), ("N", 9, 9)):
        message = rf"needs the axes \(N, C, H, W\), but has 'y' .*{HERE}"
        with pytest.raises(sg.ShapeError, match=message):
            layer(_images(*dims, name="y"))
    message = rf"3 channels, but axis 1 has 9: .*{HERE}[^\n]*\n  images are \(N, C, H, W\): "
    with pytest.raises(sg.ShapeError, match=message):
        layer(_images("N", 9, 9, 3))
    message = f"takes its number of channels from axis 1, which is not a known number{HERE}"
    with pytest.raises(sg.ShapeError, match=message):
        kind(8, 3)(_images("N", "C", 9, 9))
    with pytest.raises(sg.ShapeError, match=f"does not know its input size .* in_channels{HERE}"):
        kind(8, 3).parameters()


@pytest.mark.parametrize("layer", [Conv2d(8, 3), BatchNorm()])
def test_what_is_refused_teaches_a_layer_nothing(layer):
    with pytest.raises(sg.ShapeError, match=rf"needs the axes \(N, C.* but has 'x' .*{HERE}"):
        layer(_images("N", 28, 28))
    assert layer(_images("N", 1, 28, 28)).shape[2] in (26, 28)


def test_a_layer_that_learned_its_channels_keeps_them():
    layer = Conv2d(8, 3)
    layer(_images("N", 4, 9, 9))
    layer(_images("N", 4, 5, 20, name="wide"))
    with pytest.raises(sg.ShapeError, match=f"is for 4 channels, but axis 1 has 1: 'gray'{HERE}"):
        layer(_images("N", 1, 9, 9, name="gray"))


def test_images_smaller_than_the_filters_are_refused():
    with pytest.raises(sg.ShapeError, match=f"more than the extent 4{HERE}"):
        Conv2d(8, 5, in_channels=1)(_images("N", 1, 4, 9))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"out_channels": 0}, sg.GraphError, "out_channels is a positive int, not 0"),
        ({"kernel_size": 0}, sg.ShapeError, "kernel_size is at least 1, not 0"),
        ({"kernel_size": (1, 2, 3)}, sg.ShapeError, "kernel_size is an int or a pair of ints"),
        ({"stride": 0}, sg.ShapeError, "stride is at least 1, not 0"),
        ({"pad": -1}, sg.ShapeError, "pad is at least 0, not -1"),
        ({"groups": 0}, sg.GraphError, "groups is a positive int, not 0"),
        ({"groups": 3}, sg.ShapeError, "3 groups do not divide out_channels, 8"),
        ({"groups": 2, "in_channels": 3}, sg.ShapeError, "2 groups do not divide in_channels, 3"),
        ({"dtype": "int32"}, sg.DTypeError, "a layer's weights are floats, not int32"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, error, message):
    with pytest.raises(error, match=f"{message}{HERE}"):
        Conv2d(**{"out_channels": 8, "kernel_size": 3} | arguments)


def test_groups_must_divide_the_channels_that_are_learned():
    with pytest.raises(sg.ShapeError, match=f"2 groups do not divide the channels of the im{HERE}"):
        Conv2d(8, 3, groups=2)(_images("N", 3, 9, 9))


# Normalisation.


def _normalising():
    layer = BatchNorm(dtype="float64")
    x = _images("N", 2, dtype="float64")
    layer(x)
    layer.gamma.value, layer.beta.value = [1, 2], [0, 1]
    layer.avg_mean.value, layer.avg_var.value = [0, 0], [1, 1]
    return layer, x


ROWS = np.array([[1.0, 2.0], [3.0, 6.0]])
IN_USE = [[0.7627631372, 3.4542735275], [2.6696709803, 9.5899573461]]


@pytest.mark.inventory("E4", "B.BatchNorm")
@MODES
def test_a_batch_is_normalised_and_remembered(mode):
    layer, x = _normalising()
    train = sg.compile(layer(x), mode=mode)
    with sg.test_mode():
        use = sg.compile(layer(x), mode=mode)
    np.testing.assert_allclose(
        train(x=ROWS), [[-0.99999, -0.999995], [0.99999, 2.999995]], rtol=1e-9
    )
    np.testing.assert_allclose(layer.avg_mean.value, [0.2, 0.4], rtol=1e-12)
    np.testing.assert_allclose(layer.avg_var.value, [1.1, 1.7], rtol=1e-12)
    for _ in range(2):
        np.testing.assert_allclose(use(x=ROWS), IN_USE, rtol=1e-9)
    np.testing.assert_allclose(layer.avg_mean.value, [0.2, 0.4], rtol=1e-12)


@pytest.mark.inventory("E4")
@MODES
def test_in_use_it_has_gradients_too(mode):
    layer, x = _normalising()
    with sg.test_mode():
        y = layer(x)
    slopes = sg.compile(sg.grad((y * y).sum(), [x, layer.gamma, layer.beta]), mode=mode)(x=ROWS)
    by_y = 2 * (ROWS / np.sqrt(1 + 2e-5) * [1, 2] + [0, 1])
    scale = 1 / np.sqrt(1 + 2e-5)
    np.testing.assert_allclose(slopes[0], by_y * [1, 2] * scale, rtol=1e-10)
    np.testing.assert_allclose(slopes[1], (by_y * ROWS * scale).sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(slopes[2], by_y.sum(axis=0), rtol=1e-10)
    assert layer.avg_mean.value.tolist() == [0, 0]


@pytest.mark.inventory("E4")
def test_statistics_are_states_and_not_trained():
    layer = BatchNorm(5, name="bn")
    assert list(layer.named_parameters()) == ["bn/gamma", "bn/beta"]
    assert list(layer.named_states()) == ["bn/avg_mean", "bn/avg_var"]
    assert [state.name for state in layer.states()] == ["bn/avg_mean", "bn/avg_var"]
    np.testing.assert_array_equal(layer.gamma.value, np.ones(5))
    np.testing.assert_array_equal(layer.avg_var.value, np.ones(5))
    x = _images("N", 5)
    loss = (layer(x) ** 2).mean()
    step = sg.compile(loss, updates=sg.optim.SGD(0.1).updates(loss, layer.parameters()))
    step(x=np.arange(20, dtype="float32").reshape(4, 5))
    np.testing.assert_allclose(layer.avg_mean.value, 0.1 * (7.5 + np.arange(5)), rtol=1e-5)
    assert (layer.gamma.value < 1).all()


@MODES
def test_a_layer_that_is_used_twice_takes_both_batches_in_order(mode):
    layer = BatchNorm(2, dtype="float64")
    x, z = _images("N", 2, dtype="float64"), _images("M", 2, dtype="float64", name="z")
    sg.compile([layer(x), layer(z)], mode=mode)(x=ROWS, z=ROWS * 10)
    np.testing.assert_allclose(layer.avg_mean.value, 0.9 * np.array([0.2, 0.4]) + [2, 4])


@MODES
def test_images_are_normalised_by_channel(mode):
    layer = BatchNorm()
    fed = np.random.default_rng(0).normal(3, 2, (4, 3, 5, 6)).astype("float32")
    found = sg.compile(layer(_images("N", 3, "H", "W")), mode=mode)(x=fed)
    np.testing.assert_allclose(found.mean((0, 2, 3)), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(found.var((0, 2, 3)), np.ones(3), rtol=1e-4)
    np.testing.assert_allclose(
        layer.avg_var.value, 0.9 + 0.1 * fed.var((0, 2, 3), ddof=1), rtol=1e-5
    )


@pytest.mark.inventory("E.GRU")
@MODES
def test_rows_are_normalised_by_themselves(mode):
    layer = LayerNorm(dtype="float64")
    x = _images("N", 4, 3, dtype="float64")
    y = layer(x)
    layer.gamma.value, layer.beta.value = [1, 2, 3], [0, 1, 2]
    fed = np.random.default_rng(0).normal(3, 2, (5, 4, 3))
    centred = fed - fed.mean(-1, keepdims=True)
    expected = centred / np.sqrt(fed.var(-1, keepdims=True) + 1e-5) * [1, 2, 3] + [0, 1, 2]
    np.testing.assert_allclose(sg.compile(y, mode=mode)(x=fed), expected, rtol=1e-9)
    assert list(layer.named_parameters()) == ["gamma", "beta"]


def test_what_does_not_fit_a_normalising_layer_is_refused():
    layer = BatchNorm(3)
    with pytest.raises(sg.ShapeError, match=f"is for 3 channels, but axis 1 has 4: 'y'{HERE}"):
        layer(_images("N", 4, name="y"))
    with pytest.raises(sg.ShapeError, match=rf"axes \(N, C\) or \(N, C, H, W\), but has{HERE}"):
        layer(_images("N", 3, 4))
    with pytest.raises(sg.ShapeError, match=f"is for 5 inputs, but the last axis has 4: 'y'{HERE}"):
        LayerNorm(5)(_images("N", 4, name="y"))
    with pytest.raises(sg.ShapeError, match=f"does not know its input size .* size{HERE}"):
        BatchNorm().states()


@pytest.mark.parametrize("arguments", [{"decay": 1.0}, {"decay": -0.1}, {"eps": "small"}])
def test_ratios_out_of_range_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(sg.GraphError, match=rf"{name} is a number in \[0, 1\), not .*{HERE}"):
        BatchNorm(3, **arguments)


def test_running_statistics_that_are_no_states_are_refused():
    ones = np.ones(2)
    x = _images("N", 2, dtype="float64")
    with pytest.raises(sg.GraphError, match=f"the running mean is a State for training.*{HERE}"):
        sg.nn.batch_norm(x, ones, ones, ones, ones)
    with sg.test_mode():
        y = sg.nn.batch_norm(x, ones, ones, 0 * ones, ones)
    np.testing.assert_allclose(sg.compile(y)(x=ROWS), ROWS + 1, rtol=1e-4)
