"""Counterparts of DeZero's tests of ResNet, which are about VGG16 there; here it is ResNet."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.models import ResNet
from symgraph.models.resnet import BuildingBlock
from tests.ported.checks import check_gradient, convolution, generator

EPS = 2e-5


@pytest.fixture
def block():
    """Two bottlenecks with running statistics that are not the first ones."""
    block = BuildingBlock(2, 4, 2, 8, 2, dtype="float64", seed=0)
    drawn = generator(7)
    for name, state in block.named_states().items():
        low = 0.5 if name.endswith("var") else -0.5
        state.value = drawn.uniform(low, low + 1, size=state.shape)
    return block


def by_numpy(block, x):
    """Return relu(residual + shortcut) of the two bottlenecks, one after the other."""
    values = {n: p.value for n, p in (*block.named_parameters().items(),
                                      *block.named_states().items())}  # fmt: skip

    def normalised(x, name):
        gamma, beta, mean, variance = (
            values[f"{name}/{key}"][:, None, None]
            for key in ("gamma", "beta", "avg_mean", "avg_var")
        )
        return gamma * (x - mean) / np.sqrt(variance + EPS) + beta

    def layer(x, bottleneck, number, stride=1):
        w = values[f"{bottleneck}/conv{number}/W"]
        y = convolution(x, w, None, stride, w.shape[2] // 2)
        return normalised(y, f"{bottleneck}/bn{number}")

    for name, stride in (("a", 2), ("b1", 1)):
        y = np.maximum(layer(x, name, 1, stride), 0)
        y = layer(np.maximum(layer(y, name, 2), 0), name, 3)
        x = np.maximum(y + (layer(x, name, 4, stride) if name == "a" else x), 0)
    return x


class TestResnet152:
    def test_forward1(self, block):
        image = generator().normal(size=(2, 4, 6, 6))
        with sg.test_mode():
            f = sg.compile(block(sg.Placeholder("x", ("N", 4, 6, 6), "float64")))
        np.testing.assert_allclose(f(x=image), by_numpy(block, image), rtol=1e-10, atol=1e-12)

    def test_forward2(self):
        y = ResNet(152)(sg.Placeholder("x", (1, 3, 224, 224), "float32"))
        assert (y.shape, y.dtype) == ((1, 1000), "float32")

    def test_backward1(self, block):
        def of_images(x):
            with sg.test_mode():
                return block(x)

        check_gradient(of_images, generator().normal(size=(2, 4, 6, 6)))
