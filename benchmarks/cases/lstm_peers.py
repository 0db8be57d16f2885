"""The LSTM case in DeZero and in PyTorch, as their users write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.case import Run, Settings
from benchmarks.cases.dezero_module import import_dezero
from benchmarks.cases.lstm_problem import HIDDEN, RATE, ROWS, Array, parameters, pieces


def build_dezero(settings: Settings) -> Run:
    """Build the epoch in DeZero, step by step through time.

    Args:
        settings: Threads and device of the run.

    Returns:
        The epoch and how to read its loss.
    """
    dezero = import_dezero()
    model = _dezero_model(dezero, parameters())
    optimizer = dezero.optimizers.Adam(RATE).setup(model)
    epoch = pieces()

    def train(x: Array, t: Array) -> Any:
        loss: Any = 0
        for now, after in zip(x, t, strict=True):
            y = model.fc(model.rnn(now))
            loss += dezero.functions.mean_squared_error(y, after)
        model.cleargrads()
        loss.backward()
        loss.unchain_backward()
        optimizer.update()
        return loss.data

    def step() -> Any:
        model.rnn.reset_state()
        first, second = (train(x, t) for x, t in epoch)
        return first + second

    return Run(step, lambda loss: {"loss": loss})


def _dezero_model(dezero: Any, values: Mapping[str, Array]) -> Any:
    """Return its layers; each gate has arrays of its own there."""
    model = dezero.layers.Layer()
    model.rnn = dezero.layers.LSTM(HIDDEN, in_size=1)
    model.fc = dezero.layers.Linear(1, in_size=HIDDEN)
    model.fc.W.data, model.fc.b.data = values["W"], values["c"]
    gates = [np.split(values[name], 4, axis=-1) for name in ("Wx", "Wh", "b")]
    for gate, wx, wh, b in zip("fiou", *gates, strict=True):
        given, carried = getattr(model.rnn, f"x2{gate}"), getattr(model.rnn, f"h2{gate}")
        # Copies, because an optimiser that writes into views of one array would be slower.
        given.W.data, given.b.data, carried.W.data = wx.copy(), b.copy(), wh.copy()
    return model


def build_torch(settings: Settings) -> Run:
    """Build the epoch in PyTorch: its own LSTM, which takes a whole piece in one call.

    Args:
        settings: Threads and device of the run.

    Returns:
        The epoch and how to read its loss.
    """
    import torch

    torch.set_num_threads(settings.threads)
    values = parameters()
    lstm = _torch_lstm(torch, values)
    w, c = (torch.from_numpy(values[name]).requires_grad_() for name in ("W", "c"))
    trained = [p for p in (*lstm.parameters(), w, c) if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=RATE, fused=True)
    epoch = [(torch.from_numpy(x), torch.from_numpy(t)) for x, t in pieces()]

    def step() -> Any:
        state, total = None, 0.0
        for x, t in epoch:
            hidden, (h, cell) = lstm(x, state)
            loss = (hidden @ w + c - t).square().sum() / ROWS
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            state = h.detach(), cell.detach()
            total += loss.detach()
        return total

    return Run(step, lambda loss: {"loss": loss.numpy()})


def _torch_lstm(torch: Any, values: Mapping[str, Array]) -> Any:
    """Return its layer: gates in another order, in rows, and with a second bias, which stays 0."""
    lstm = torch.nn.LSTM(1, HIDDEN)

    def rows(name: str) -> Any:
        forget, write, read, written = np.split(values[name], 4, axis=-1)
        return torch.from_numpy(np.concatenate([write, forget, written, read], axis=-1).T.copy())

    with torch.no_grad():
        lstm.weight_ih_l0.copy_(rows("Wx"))
        lstm.weight_hh_l0.copy_(rows("Wh"))
        lstm.bias_ih_l0.copy_(rows("b"))
        lstm.bias_hh_l0.zero_()
    lstm.bias_hh_l0.requires_grad_(False)
    return lstm
