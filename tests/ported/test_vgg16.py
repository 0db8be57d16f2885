"""Counterparts of DeZero's tests of VGG16.

The originals compare with Chainer's VGG16 under the same weights; here it is a VGG16 in NumPy. The
original of the last compares weights, which nobody changed; here it is gradients.
"""

import numpy as np
import pytest

import symgraph as sg
from symgraph.models import VGG16
from tests.ported.checks import generator
from tests.ported.networks import Affine, Convolution, Pool

BLOCKS = (2, 2, 3, 3, 3)


@pytest.fixture(scope="module")
def network():
    """A model for images of 32 x 32, its logits and gradients, and the same network in NumPy."""
    model = VGG16(classes=10, seed=0)
    x = sg.Placeholder("x", ("N", 3, 32, 32), "float32")
    with sg.test_mode():
        y = model(x)
    names = ["conv1_1/W", "conv1_1/b", "conv5_3/W", "fc6/b", "fc8/W"]
    found = model.named_parameters()
    slopes = sg.grad(sg.sum(y * np.arange(10, dtype="float32")), [found[n] for n in names])
    f = sg.compile([y, dict(zip(names, slopes, strict=True))])
    image = generator().normal(size=(2, 3, 32, 32)).astype("float32")
    logits, gradients = f(x=image)
    return image, logits, gradients, numpys_network(model.named_parameters())


def numpys_network(parameters):
    layers, weights = {}, {name: p.value for name, p in parameters.items()}
    for block, depth in enumerate(BLOCKS, start=1):
        for position in range(1, depth + 1):
            name = f"conv{block}_{position}"
            layers[name] = Convolution(weights[f"{name}/W"], weights[f"{name}/b"])
        layers[f"pool{block}"] = Pool()
    for name in ("fc6", "fc7", "fc8"):
        layers[name] = Affine(weights[f"{name}/W"], weights[f"{name}/b"], last=name == "fc8")
    return layers


def forward(layers, x):
    for layer in layers.values():
        x = layer.forward(x)
    return x


class TestVGG16:
    def test_forward1(self, network):
        image, logits, _, layers = network
        expected = forward(layers, image)
        np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())

    def test_forward2(self, network):
        assert network[1].dtype == np.float32
        y = VGG16()(sg.Placeholder("x", (1, 3, 224, 224), "float32"))
        assert (y.shape, y.dtype) == ((1, 1000), "float32")

    def test_backward1(self, network):
        image, _, gradients, layers = network
        forward(layers, image)
        adjoint = np.tile(np.arange(10, dtype="float32"), (2, 1))
        for layer in reversed(layers.values()):
            adjoint = layer.backward(adjoint)
        for name, found in gradients.items():
            layer, kind = name.split("/")
            expected = layers[layer].gw if kind == "W" else layers[layer].gb
            assert np.linalg.norm(found - expected) < 1e-3 * np.linalg.norm(expected), name
