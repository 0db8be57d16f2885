"""Run in a fresh process by `startup`: compile an MLP step, take it once, say when it was done.

It stands alone, so that the process imports nothing but what a user's program would. Its one
argument is `symgraph`, or `numpy` for the floor: NumPy imported and one matrix product.
"""

import json
import sys
import time


def main() -> None:
    """Print the times as JSON: of compiling and the first call, and of the clock at its end."""
    import numpy as np

    x = np.full((100, 1), 0.5, np.float32)
    started = time.monotonic_ns()
    if sys.argv[1] == "numpy":
        result = float((x.T @ x)[0, 0])
    else:
        import symgraph as sg

        started = time.monotonic_ns()
        w1 = sg.Parameter(np.full((1, 10), 0.1, np.float32), name="W1")
        b1 = sg.Parameter(np.zeros(10, np.float32), name="b1")
        w2 = sg.Parameter(np.full((10, 1), 0.1, np.float32), name="W2")
        b2 = sg.Parameter(np.zeros(1, np.float32), name="b2")
        x_node = sg.Placeholder("x", shape=("N", 1), dtype="float32")
        t_node = sg.Placeholder("t", shape=("N", 1), dtype="float32")
        y = sg.sigmoid(x_node @ w1 + b1) @ w2 + b2
        loss = sg.nn.mean_squared_error(y, t_node)
        updates = sg.optim.SGD(0.2).updates(loss, [w1, b1, w2, b2])
        step = sg.compile(loss, updates=updates)
        result = float(step(x=x, t=x))
    finished = time.monotonic_ns()
    print(json.dumps({"result": result, "compile": finished - started, "finished": finished}))


if __name__ == "__main__":
    main()
