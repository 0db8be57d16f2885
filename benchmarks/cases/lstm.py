"""An LSTM learns to continue a noisy sine: one epoch, step 60 of DeZero's book."""

from __future__ import annotations

import numpy as np

from benchmarks import eager_functions
from benchmarks.array_module import Array
from benchmarks.case import Case, Peer, Run, Settings
from benchmarks.cases.lstm_peers import build_dezero, build_torch
from benchmarks.cases.lstm_problem import HIDDEN, RATE, ROWS, parameters, pieces
from benchmarks.define_by_run import Variable
from benchmarks.eager_optimizers import Adam
from benchmarks.eager_recurrent import LSTM


def lstm_case() -> Case:
    """Return the case: 34 steps through time, with an update after 30 of them and at the end.

    The second update is one that DeZero's own program leaves out by mistake; here all make it. The
    losses differ by a few millionths, because Adam's epsilon stands in two places: symgraph and
    DeZero add it before the correction of the bias, the others after it.
    """
    peers = (
        Peer("symgraph", "symgraph", _build_symgraph),
        Peer("define_by_run", "numpy", _build_define_by_run),
        Peer("dezero", "dezero", build_dezero),
        Peer("torch", "torch", build_torch),
    )
    title = "LSTM 100 on a sine, batch 30, 34 steps: train epoch"
    return Case("lstm_sine", title, peers, tolerance=1e-4, bars={"dezero": 8.0})


def _build_symgraph(settings: Settings) -> Run:
    import symgraph as sg

    values = parameters()
    lstm = sg.layers.LSTM(HIDDEN, in_size=1)
    lstm.Wx.value, lstm.Wh.value, lstm.b.value = values["Wx"], values["Wh"], values["b"]
    w, c = (sg.Parameter(values[name], name=name) for name in ("W", "c"))
    x, t = (sg.Placeholder(name, ("T", ROWS, 1), "float32") for name in ("x", "t"))
    y = lstm.resume(x) @ w + c
    loss = sg.sum((y - t) ** 2) / ROWS
    train = sg.compile(
        loss,
        updates=sg.optim.Adam(RATE).updates(loss, [*lstm.parameters(), w, c]),
        device=settings.device,
        threads=settings.threads,
    )
    (x1, t1), (x2, t2) = pieces()

    def step() -> Array:
        lstm.reset_state()
        total: Array = train(x=x1, t=t1) + train(x=x2, t=t2)
        return total

    return Run(step, lambda loss: {"loss": loss})


def _build_define_by_run(settings: Settings) -> Run:
    wx, wh, b, w, c = leaves = [Variable(value) for value in parameters().values()]
    lstm = LSTM(wx, wh, b)
    optimizer = Adam(leaves, RATE)
    epoch = pieces()

    def train(x: Array, t: Array) -> Array:
        loss = Variable(np.zeros((), x.dtype))
        for now, after in zip(x, t, strict=True):
            y = eager_functions.linear(lstm(Variable(now)), w, c)
            loss = loss + eager_functions.mean_squared_error(y, Variable(after))
        for leaf in leaves:
            leaf.clear_grad()
        loss.backward()
        lstm.cut()
        optimizer.update()
        return loss.data

    def step() -> Array:
        lstm.reset_state()
        first, second = (train(x, t) for x, t in epoch)
        return first + second

    return Run(step, lambda loss: {"loss": loss})
