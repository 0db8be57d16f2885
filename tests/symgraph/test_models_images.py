"""Models for images: how many parameters they have, under which names, and what shapes they give.

Counting allocates nothing: parameters take memory when their values are first needed.
"""

import numpy as np
import pytest

import symgraph as sg
from symgraph.models import VGG16, ResNet, SqueezeNet
from symgraph.models.resnet import BottleneckA, BottleneckB, BuildingBlock

HERE = r"(?s:.*)test_models_images\.py:"
RECORDED = [[-0.410314, 2.824913, -1.101782, 1.504814, 1.008098]]
VGG_LAYERS = [
    "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1",
    "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc7", "fc8",
]  # fmt: skip


def _images(*shape, name="x"):
    return sg.Placeholder(name, shape, "float32")


def _count(leaves):
    return sum(leaf.size for leaf in leaves)


def _is_pending(model):
    return all(leaf.residence._initial is not None for leaf in model.parameters())


# VGG16.


@pytest.mark.inventory("F.VGG16")
def test_vgg16_has_the_parameters_that_it_should():
    model = VGG16(seed=0)
    y = model(_images("N", 3, 224, 224))
    assert y.shape[1:] == (1000,)
    assert _count(model.parameters()) == 138_357_544
    names = model.named_parameters()
    assert list(names) == [f"{layer}/{key}" for layer in VGG_LAYERS for key in "Wb"]
    assert sum(p.size for name, p in names.items() if name.startswith("conv")) == 14_714_688
    assert _is_pending(model)


@pytest.mark.inventory("F.VGG16")
def test_vgg16_takes_its_size_from_the_images():
    model = VGG16(seed=0)
    assert model(_images(1, 3, 32, 32)).shape == (1, 1000)
    assert (_count(model.parameters()), len(model.parameters())) == (37_694_248, 32)
    with pytest.raises(sg.ShapeError, match=f"'fc6'> is for 512 inputs, .* has 2048{HERE}"):
        model(_images(1, 3, 64, 64))
    with pytest.raises(sg.ShapeError, match=f"'conv1_1'> is for 3 channels, .* has 1: 'y'{HERE}"):
        model(_images(1, 1, 32, 32, name="y"))
    with pytest.raises(sg.ShapeError, match=f"more than the extent 1{HERE}"):
        VGG16()(_images(1, 3, 16, 16))
    with pytest.raises(sg.ShapeError, match=f"'fc6'> takes its number of inputs .*{HERE}"):
        VGG16()(_images(1, 3, "H", "W"))


def test_vgg16_gives_its_feature_maps():
    maps = VGG16().feature_maps(_images("N", 3, "H", "W"))
    assert list(maps)[:3] == ["conv1_1", "conv1_2", "pool1"]
    assert len(maps) == 18
    assert VGG16().feature_maps(_images(2, 3, 64, 48))["conv5_3"].shape == (2, 512, 4, 3)


@pytest.mark.inventory("F.VGG16")
def test_pictures_are_preprocessed_as_the_weights_expect():
    pixels = np.arange(2 * 3 * 3, dtype="uint8").reshape(2, 3, 3)
    found = VGG16.preprocess(pixels, None)
    assert (found.shape, found.dtype) == ((3, 2, 3), np.float32)
    # Blue, green and red of the first pixel, whose channels are 0, 1, 2.
    np.testing.assert_allclose(found[:, 0, 0], [2 - 103.939, 1 - 116.779, 0 - 123.68], rtol=1e-6)
    np.testing.assert_allclose(found[0, 1, 2], 17 - 103.939, rtol=1e-6)
    assert VGG16.preprocess(np.zeros((224, 224, 3)), dtype="float64").dtype == np.float64


def test_pictures_of_pillow_are_resized():
    image = pytest.importorskip("PIL.Image")
    gray = image.fromarray(np.full((10, 20), 7, "uint8"))
    found = VGG16.preprocess(gray)
    assert found.shape == (3, 224, 224)
    np.testing.assert_allclose(found[:, 5, 5], 7 - np.array([103.939, 116.779, 123.68]), rtol=1e-6)
    small = VGG16.preprocess(np.full((10, 20, 3), 7, "uint8"), (4, 6))
    np.testing.assert_array_equal(small, found[:, :6, :4])
    with pytest.raises(sg.DataError, match=f"only pixels of uint8 are resized, not float64{HERE}"):
        VGG16.preprocess(np.zeros((10, 20, 3)))


@pytest.mark.parametrize("wrong", [np.zeros((3, 4, 4)), np.zeros((4, 4)), "zebra.jpg", None])
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(sg.DataError, match=f"a picture (has the axes|is an image of Pill).*{HERE}"):
        VGG16.preprocess(wrong)


# ResNet.


@pytest.mark.inventory("F.ResNet")
@pytest.mark.parametrize(
    ("depth", "trained", "running", "arrays"),
    [
        (50, 25_557_096, 53_120, 268),
        (101, 44_549_224, 105_344, 523),
        (152, 60_192_872, 151_424, 778),
    ],
)
def test_resnets_have_the_parameters_that_they_should(depth, trained, running, arrays):
    model = ResNet(depth, seed=0)
    assert (_count(model.parameters()), _count(model.states())) == (trained, running)
    assert len(model.parameters()) + len(model.states()) == arrays
    assert _is_pending(model)
    assert model(_images(1, 3, 64, 64)).shape == (1, 1000)
    assert _count(model.parameters()) == trained


@pytest.mark.inventory("F.ResNet")
def test_the_names_of_a_resnet_are_those_of_its_saved_weights():
    model = sg.models.ResNet50()
    names = [*model.named_parameters(), *model.named_states()]
    for name in (
        "conv1/W", "conv1/b", "bn1/gamma", "bn1/avg_mean", "res2/a/conv4/W", "res2/b2/bn3/avg_var",
        "res5/b1/conv2/W", "fc6/W", "fc6/b",
    ):  # fmt: skip
        assert name in names
    assert "res2/b3/conv1/W" not in names
    assert isinstance(sg.models.ResNet152(10), ResNet)
    assert sg.models.ResNet101(10).fc6.out_size == 10


@pytest.mark.inventory("F.ResNet")
@pytest.mark.parametrize("depth", [18, 0, "50", None])
def test_another_depth_is_refused(depth):
    with pytest.raises(
        sg.GraphError, match=f"a ResNet has 50, 101, 152 layers, not {depth!r}{HERE}"
    ):
        ResNet(depth)


@pytest.mark.inventory("F.BuildingBlock")
def test_building_blocks_change_channels_and_size():
    first, second = BuildingBlock(3, 64, 64, 256, 1), BuildingBlock(4, 256, 128, 512, 2)
    y = first(_images(1, 64, 8, 8))
    assert y.shape == (1, 256, 8, 8)
    assert second(y).shape == (1, 512, 4, 4)
    assert list(first.named_parameters())[-1] == "b2/bn3/beta"
    with pytest.raises(sg.GraphError, match=f"layers is a positive int, not 0{HERE}"):
        BuildingBlock(0, 64, 64, 256, 1)


def test_the_stride_may_be_on_the_second_convolution():
    usual, other = BottleneckA(4, 2, 8), BottleneckA(4, 2, 8, downsample_fb=True)
    assert usual(_images(1, 4, 8, 8)).shape == other(_images(1, 4, 8, 8)).shape == (1, 8, 4, 4)
    assert (usual.conv1.stride, usual.conv2.stride) == ((2, 2), (1, 1))
    assert (other.conv1.stride, other.conv2.stride) == ((1, 1), (2, 2))


@pytest.mark.parametrize("mode", ["native", "reference"])
def test_a_bottleneck_adds_what_it_was_given(mode):
    block = BottleneckB(4, 2, seed=0)
    block.bn3.gamma.value = np.zeros(4)
    fed = _noise(2, 4, 5, 5)
    found = sg.compile(block(_images("N", 4, 5, 5)), mode=mode)(x=fed)
    np.testing.assert_allclose(found, np.maximum(fed, 0), rtol=1e-6)
    assert block.bn1.avg_mean.value.any()


# SqueezeNet.


@pytest.mark.inventory("F.SqueezeNet")
def test_squeezenet_has_the_parameters_that_it_should():
    model = SqueezeNet(seed=0)
    assert _count(model.parameters()) == 1_248_424
    assert model(_images("N", 3, 224, 224)).shape[1:] == (1000,)
    assert model(_images(1, 3, 35, 35)).shape == (1, 1000)
    names = list(model.named_parameters())
    assert names[:4] == ["conv1/W", "conv1/b", "fire2/squeeze/W", "fire2/squeeze/b"]
    assert names[-2:] == ["conv10/W", "conv10/b"]
    with pytest.raises(sg.ShapeError, match=f"more than the extent{HERE}"):
        model(_images(1, 3, 34, 34))
    with pytest.raises(sg.ShapeError, match=f"'conv1'> is for 3 channels, .* has 4{HERE}"):
        model(_images(1, 4, 64, 64))


# What they compute.


def _noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_a_squeezenet_gives_what_numpy_gives():
    network = SqueezeNet(10, seed=0)
    with sg.test_mode():
        y = network(_images("N", 3, "H", "W"))
    fed = _noise(1, 3, 64, 64)
    native, reference = sg.compile(y)(x=fed), sg.compile(y, mode="reference")(x=fed)
    assert (native.shape, native.dtype) == ((1, 10), np.float32)
    np.testing.assert_allclose(native, reference, rtol=1e-4, atol=1e-5)
    assert native.std() > 1e-4


def test_a_step_of_residual_blocks_is_that_of_numpy():
    found = []
    for mode in ("native", "reference"):
        block = BuildingBlock(2, 8, 4, 16, 2, seed=0)
        loss = (block(_images("N", 8, 6, 6)) ** 2).mean()
        updates = sg.optim.SGD(0.1).updates(loss, block.parameters())
        step = sg.compile(loss, updates=updates, mode=mode)
        losses = [float(step(x=_noise(4, 8, 6, 6))) for _ in range(2)]
        found.append((losses, [leaf.value for leaf in (*block.parameters(), *block.states())]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    assert found[0][0][1] < found[0][0][0]
    for native, reference in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(native, reference, rtol=1e-3, atol=1e-4)


@pytest.mark.inventory("F.VGG16")
def test_vgg16_runs_on_small_images():
    model = VGG16(5, seed=0)
    with sg.test_mode():
        y = model(_images("N", 3, 32, 32))
    found = sg.compile(y)(x=_noise(1, 3, 32, 32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, RECORDED, rtol=1e-3, atol=1e-4)
    torch = pytest.importorskip("torch")
    node = torch.from_numpy(_noise(1, 3, 32, 32))
    with torch.no_grad():
        for name in VGG_LAYERS[:13]:
            weights = torch.from_numpy(getattr(model, name).W.storage)
            node = torch.relu(torch.nn.functional.conv2d(node, weights, padding=1))
            if name in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
                node = torch.nn.functional.max_pool2d(node, 2)
        node = node.reshape(1, -1)
        for name in VGG_LAYERS[13:]:
            node = node @ torch.from_numpy(getattr(model, name).W.storage)
            node = node if name == "fc8" else torch.relu(node)
    np.testing.assert_allclose(found, node.numpy(), rtol=1e-4, atol=1e-5)
