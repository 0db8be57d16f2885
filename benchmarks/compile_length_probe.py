"""Run in a fresh process by `compile_length`: compile the training step of an LSTM over a sequence.

It stands alone, as `startup_probe` does. Its one argument is the number of steps of the sequence,
which is fixed in the graph. Something small is compiled first: what is timed is then the loop, its
gradient and the update, and not the loading of the compiler.
"""

import json
import sys
import time


def main() -> None:
    """Print as JSON how long building and compiling took, when that was done, and a loss."""
    import numpy as np

    import symgraph as sg

    sg.compile(sg.Placeholder("x", shape=("N",), dtype="float32") + 1.0)(x=np.zeros(2, "float32"))
    steps, rows, hidden = int(sys.argv[1]), 30, 100
    started = time.monotonic_ns()
    lstm = sg.layers.LSTM(hidden, in_size=1, seed=0)
    output = sg.layers.Linear(1, in_size=hidden, seed=1)
    x = sg.Placeholder("x", shape=(steps, rows, 1), dtype="float32")
    loss = sg.mean((output(lstm(x)) - x) ** 2)
    parameters = [*lstm.parameters(), *output.parameters()]
    step = sg.compile(loss, updates=sg.optim.Adam().updates(loss, parameters))
    finished = time.monotonic_ns()
    x_data = np.sin(np.arange(steps * rows, dtype=np.float32)).reshape(steps, rows, 1)
    times = {"compile": finished - started, "finished": finished}
    print(json.dumps({"result": float(step(x=x_data)), **times}))


if __name__ == "__main__":
    main()
