"""One training step of a convolutional network: two convolutions, two pools, two linear layers."""

from __future__ import annotations

from benchmarks import eager_functions, eager_images
from benchmarks.case import Case, Peer, Run, Settings
from benchmarks.cases.lenet_peers import build_dezero, build_torch
from benchmarks.cases.lenet_problem import BATCH, RATE, batch, parameters
from benchmarks.define_by_run import Variable
from benchmarks.eager_optimizers import Adam


def lenet_case() -> Case:
    """Return the case: 32 and 64 filters, batch 128 of 28 x 28, Adam.

    As in `lstm_case`, the place of Adam's epsilon shows in the sixth digit of the losses.
    """
    peers = (
        Peer("symgraph", "symgraph", _build_symgraph),
        Peer("define_by_run", "numpy", _build_define_by_run),
        Peer("dezero", "dezero", build_dezero),
        Peer("torch", "torch", build_torch),
    )
    title = f"CNN 32-64-128-10 on 28x28, batch {BATCH}: train step"
    return Case("cnn_lenet", title, peers, tolerance=1e-4)


def _build_symgraph(settings: Settings) -> Run:
    import symgraph as sg

    x_data, t_data = batch()
    leaves = [sg.Parameter(value, name=name) for name, value in parameters().items()]
    filters1, bias1, filters2, bias2, w1, b1, w2, b2 = leaves
    x = sg.Placeholder("x", shape=("N", 1, 28, 28), dtype="float32")
    t = sg.Placeholder("t", shape=("N",), dtype="int64")
    y = sg.nn.max_pool2d(sg.relu(sg.nn.conv2d(x, filters1, bias1, pad=1)), 2)
    y = sg.nn.max_pool2d(sg.relu(sg.nn.conv2d(y, filters2, bias2, pad=1)), 2)
    y = sg.relu(y.reshape(-1, w1.shape[0]) @ w1 + b1)
    loss = sg.nn.softmax_cross_entropy(y @ w2 + b2, t)
    step = sg.compile(
        loss,
        updates=sg.optim.Adam(RATE).updates(loss, leaves),
        device=settings.device,
        threads=settings.threads,
    )
    return Run(lambda: step(x=x_data, t=t_data), lambda loss: {"loss": loss})


def _build_define_by_run(settings: Settings) -> Run:
    x_data, t_data = batch()
    leaves = [Variable(value) for value in parameters().values()]
    filters1, bias1, filters2, bias2, w1, b1, w2, b2 = leaves
    relu, linear = eager_functions.relu, eager_functions.linear
    optimizer = Adam(leaves, RATE)

    def step() -> Variable:
        y = relu(eager_images.conv2d(Variable(x_data), filters1, bias1))
        y = relu(eager_images.conv2d(eager_images.max_pool2d(y), filters2, bias2))
        y = eager_images.max_pool2d(y).reshape(BATCH, w1.shape[0])
        y = linear(relu(linear(y, w1, b1)), w2, b2)
        loss = eager_functions.softmax_cross_entropy(y, t_data)
        for leaf in leaves:
            leaf.clear_grad()
        loss.backward()
        optimizer.update()
        return loss

    return Run(step, lambda loss: {"loss": loss.data})
