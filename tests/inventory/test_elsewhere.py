"""Rows that need what a machine may lack: a GPU, or data that are not on it. Nothing is fetched."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import compile, nn
from symgraph.data.download import cache_dir
from symgraph.data.mnist import FILES
from symgraph.layers import Linear
from symgraph.models import MLP, Sequential


@pytest.fixture
def gpu():
    """The name of the device, where there is one."""
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("there is no CUDA device")
    return "gpu"


@pytest.mark.gpu
@pytest.mark.inventory("M.gpu", "D.step52", "S.mnist_gpu")
def test_a_gpu_trains_to_the_same_numbers(gpu):
    generator = np.random.default_rng(0)
    x = sg.Placeholder("x", ("N", 64), "float32")
    t = sg.Placeholder("t", ("N",), "int64")
    feeds = {
        "x": generator.normal(size=(100, 64)).astype("float32"),
        "t": generator.integers(0, 10, 100),
    }
    losses = {}
    for device in ("cpu", gpu):
        model = MLP((100, 10), sg.relu, in_size=64, seed=0)
        loss = nn.softmax_cross_entropy(model(x), t)
        step = compile(
            loss, updates=sg.optim.Adam(1e-3).updates(loss, model.parameters()), device=device
        )
        losses[device] = [float(step(**feeds)) for _ in range(20)]
    np.testing.assert_allclose(losses[gpu], losses["cpu"], rtol=1e-5)


@pytest.fixture
def mnist():
    """The training and test images and labels, where they were fetched before."""
    if not all((cache_dir() / name).exists() for name, _ in FILES.values()):
        pytest.skip("MNIST was not fetched")
    sets = [sg.data.MNIST(train) for train in (True, False)]
    scale = np.float32(1 / 255)
    return [(each.data.reshape(-1, 784) * scale, each.label) for each in sets]


@pytest.mark.inventory("P.mnist")
def test_the_program_of_the_keras_chapter_reads_97_percent_of_mnist(mnist):
    (images, labels), (unseen, expected) = mnist
    model = Sequential(Linear(512, 784, seed=0), sg.relu, Linear(10, 512, seed=1), sg.softmax)
    model.compile("rmsprop", "categorical_crossentropy", ["accuracy"])
    hot = np.eye(10, dtype="float32")
    model.fit(images, hot[labels], epochs=5, batch_size=128)
    assert model.evaluate(unseen, hot[expected])["accuracy"] >= 0.97


@pytest.mark.inventory("D.step51")
def test_the_published_losses_of_mnist_within_ten_percent(mnist):
    (images, labels), _ = mnist
    model = MLP((1000, 10), in_size=784, seed=0)
    x, t = sg.Placeholder("x", ("N", 784), "float32"), sg.Placeholder("t", ("N",), "int64")
    loss = nn.softmax_cross_entropy(model(x), t)
    step = compile(loss, updates=sg.optim.SGD(0.01).updates(loss, model.parameters()))
    batches = sg.data.DataLoader((images, labels), 100, rng=np.random.RandomState(0))
    means = [np.mean([float(step(x=a, t=b)) for a, b in batches]) for _ in range(5)]
    np.testing.assert_allclose(means, [1.9140, 1.2791, 0.9211, 0.7381, 0.6339], rtol=0.1)
