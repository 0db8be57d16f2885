"""The examples run as a user runs them, with little data, and print what their descriptions say."""

import inspect
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from symgraph.op import REGISTRY

ROOT = Path(__file__).parents[2]


class Program(NamedTuple):
    """What a program is called with, what it prints among other things, and what it draws."""

    printed: Sequence[str]
    arguments: Sequence[str] = ()
    drawn: Sequence[str] = ()


PROGRAMS = {
    "accumulation": Program(
        [
            "x^2 + y^2 at (2, 3): 13, slopes 4 and 6",
            "x + x + x, in two calls: [2.0, 3.0, 2.0, 3.0]",
            "a^2 + a^2 at 2: 32, slope 64",
            "[0.0, 2.0, 0.0, 0.0]",
        ]
    ),
    "branches": Program(["y=5  gradients 1, 1", "y=6  gradients 3, 2", "[0.25 0.   0.  ]"]),
    "chain_rule": Program(
        [
            "at 0.5: 1.648721270700128, slope 3.297442541400256",
            "at (2, 1): 7, 8",
            "(3x + 2)^2 at 1: 30",
            "at (3, 2, 1): 2, 3, 1",
            "sigmoid(3x + 2) at 0.5: 0.0853591",
            "L = sum(sigmoid(XW)) = 3.0431711556",
            "20000 additions: 1\n",
        ]
    ),
    "checkpoint": Program(
        [
            "the same weights: True\n",
            "Loaded(missing=[], unexpected=[])",
            "l0/W, l0/b, l1/W, l1/b; the same weights: True",
        ],
        drawn=["broken.npz"],
    ),
    "cnn_digits": Program(
        ["held-out accuracy 9", "(360 digits)"], ["--epochs", "2"], ["cnn_digits.png"]
    ),
    "contract": Program(
        ["array(7)  (int64", "array([3., 3., 3., 3., 3., 3., 3., 3., 3., 3.])", "compilations  "]
    ),
    "convolution": Program(
        [
            "[[259. 295.]\n [403. 439.]]",
            "[[ 73. 121. 154. 103.]",
            "patches of one image (9, 75), of ten (90, 75)",
            "agree: True",
            "(N, 5, 15, 15) through 8 filters of 3 x 3, pad 1: (N, 8, 15, 15)",
        ]
    ),
    "custom_op": Program(["at 0.75: 0.25, slope 0.6, second derivative 0.512", "kernels"]),
    "devices": Program(["cpu: compiled", "gpu: ", "the same bits: True"]),
    "gpu_mlp": Program(["cpu : ", " of unseen digits right, loss "], ["--epochs", "2"]),
    "data_sets": Program(
        [
            "samples 7 to 9: [50, 65, 82]",
            "the first [-0.13981389 -0.00721657] of arm 1",
            "halved [-0.06990694 -0.00360829]",
            "hello: [0, 1, 2, 2], then [1, 2, 2, 3]",
            "shuffled: [[3, 5, 1, 2], [9, 8, 0, 6], [7, 4]]",
            "in sequence: [[0, 3, 6], [1, 4, 7], [2, 5, 8], [3, 6, 9]]",
            "60000 images by 128: 469 batches, the last of 96",
            "none read; number 123456: (array([123456., 123456., 123456.]",
        ],
        drawn=["data_sets.png"],
    ),
    "double_backprop": Program(
        ["68, slope 100", "critic 3 x + 4 y: 16, gradient [4.8 6.4]", "critic after:  clouds 2."]
    ),
    "dropout": Program(["[1. 1. 1. 1. 1. 1. 1. 1.]", "compilations: 1\n", "1.00 and 1.00"]),
    "formulas": Program(["P(A|B) = 0.18", "error 1.6666666667", "A (1, 1, 1) = [3. 2. 5.]"]),
    "functions": Program(
        ["f1(x) = x²         at -3: value 9, derivative -6", "maximum(n2, n3) : float64[]"],
        drawn=["functions.png"],
    ),
    "gan": Program(
        ["critic's loss ", "mean invented and mean real "], ["--epochs", "2"], ["gan.png"]
    ),
    "grad_cam": Program(["hottest place inside"], ["--epochs", "1"], ["grad_cam.png"]),
    "gradient_check": Program(
        ["forward difference 3.29810211785, central 3.29744262933", "1 % too large", "e-03, WRONG"]
    ),
    "landscapes": Program(
        [
            "Sphere at (1, 1): 2, gradient [2. 2.], Hessian [2 0] [0 2]",
            "Matyas at (1, 1): 0.04, gradient [0.04 0.04], Hessian [0.52 -0.48] [-0.48 0.52]",
            "(1, 1): 1876, gradient [-5376.  8064.], Hessian [21228 -25812] [-25812 44748]",
            "(0, -1): 3, gradient [0. 0.]",
            "steepest descent of Sphere at (2, 1.5): [-4. -3.]",
        ],
        drawn=["landscapes.png"],
    ),
    "linear_regression": Program(
        [
            "step   1: loss 42.296340129442, then y = 0.64433458 x + 1.29473389",
            "step 100: loss 0.079086065124, then y = 2.11807369 x + 5.46608905",
            "y = 1.93655106 x + 5.55808002",
        ],
        drawn=["linear_regression.png"],
    ),
    "lstm_sine": Program(["epoch   1: loss 0.483028"], ["--epochs", "3"], ["lstm_sine.png"]),
    "memory": Program(["in a row    arena 8 MB, outputs 8 MB", "[2.0, 1.0], and by t as well: "]),
    "mnist": Program(["epoch 1: train 2."], ["--images", "600", "--epochs", "1", "--hidden", "50"]),
    "mnist_fit": Program(
        ["parameters: 407050", "compilations: 1\n"],
        ["--images", "600", "--epochs", "1"],
        ["mnist_fit.png"],
    ),
    "newton": Program(
        [
            "1  by hand 1.454545454545455  by grad 1.454545454545455",
            "6  by hand 1.000000000002289  by grad 1.000000000002289",
            "7  by hand 1  by grad 1\n",
        ]
    ),
    "operators": Program(
        [
            "shape (2, 3), ndim 2, size 6, len 2, dtype float64",
            "d(x ** 3) / dx   12",
            "float32 * 2.0                float32",
            "if x > 0: use cond(",
        ]
    ),
    "pictures": Program(
        ["'operations': 38", "graph.", "kernels.", "commit", "batch_matmul"],
        drawn=["goldstein_price.dot", "graph.dot", "kernels.dot"],
    ),
    "ranks": Program(
        ["rank 5  videos           (4, 240, 144, 256, 3)", "106168320 numbers: 405 MB", "than 1 MB"]
    ),
    "resnet": Program(
        [
            "(N, 64, 8, 8) through a block to (N, 256, 8, 8) through a block to (N, 512, 4, 4)",
            "ResNet50: 25557096 parameters, 53120 running means and variances",
            "scores (1, 1000)",
        ],
        ["--size", "64"],
    ),
    "rnn_sine": Program(
        ["epoch   1: loss 0.290638", "epoch   2: loss 0.018005"],
        ["--epochs", "2"],
        ["rnn_sine.png"],
    ),
    "rosenbrock": Program(
        [
            "first gradient: [ -2. 400.]",
            "(0.0020000000, 1.6000000000)",
            "(0.0052759968, 1.2800008000)",
            "after  1000 steps: (0.6837118569, 0.4659526837)",
        ],
        ["--steps", "1000"],
        ["rosenbrock.png"],
    ),
    "sine_network": Program(
        ["by hand      0.847370", "from layers  0.816518", "from a model 0.816518"],
        ["--steps", "20"],
        ["sine_network.png"],
    ),
    "sine_orders": Program(
        ["third derivative  at 1: -0.5403023058681398"], drawn=["sine_orders.png"]
    ),
    "softmax": Program(["1.496744", "(1000, 0): [[1. 0.]], logarithms [[    0. -1000.]]"]),
    "spiral": Program(
        ["epoch   1: train 1.094449 40.33%, test 1.046759 32.67%"],
        ["--epochs", "2"],
        ["spiral.png"],
    ),
    "style_transfer": Program(
        ["loss at first"], ["--steps", "3", "--size", "32"], ["style_transfer.png"]
    ),
    "tanh_graph": Program(
        [
            "order 1 at 1:  0.419974341614     3 operations",
            "order 8 at 1: -277.062135603",
            "tanh_3.",
        ],
        ["--order", "3"],
        ["tanh_3.dot"],
    ),
    "taylor_sine": Program(
        ["0.0001: 4 terms, y 0.70710646957517", "1e-150: 47 terms, y 0.7071067811865", "tions: 1\n"]
    ),
    "tensors": Program(
        [
            "x @ x.T                        [[14. 32.] [32. 77.]]",
            "gradient [[2. 2. 2.] [1. 1. 1.]]",
            "by row: shape (3,)",
        ]
    ),
    "tree_lstm": Program(
        [" 8 leaves: ", "compilations: 1 and 1\n"],
        ["--trees", "300"],
    ),
    "truncated_bptt": Program(
        [
            "whole      h [0.8428861 0.8428861], by Wx [0.69294126 0.69294126]",
            "in pieces  h [0.8428861 0.8428861], by Wx [0.57908603 0.57908603]",
        ]
    ),
    "vae": Program(["161765 parameters", "of the last "], ["--epochs", "1"], ["vae.png"]),
    "vgg16": Program(["37694248 parameters", "one picture (1, 3, 32, 32)"], ["--size", "32"]),
}
APART = {"fit_digits", "mlp_digits", "plotting"}


def test_no_example_is_left_out():
    found = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert found == {*PROGRAMS, *APART}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_example_prints_what_it_should(name, load, output, capsys):
    known = set(REGISTRY)
    program, main = PROGRAMS[name], load(name).main
    main([*program.arguments]) if inspect.signature(main).parameters else main()
    printed = capsys.readouterr().out
    for line in program.printed:
        assert line in printed
    for drawn in program.drawn:
        size = (output / drawn).stat().st_size
        assert size > (10_000 if drawn.endswith(".png") else 100)
    for added in set(REGISTRY) - known:
        del REGISTRY[added]


@pytest.mark.parametrize("name", ["contract", "functions"])
def test_the_example_runs_by_itself(name):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert finished.returncode == 0, finished.stderr
    for line in PROGRAMS[name].printed:
        assert line in finished.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_example_explains_itself(name, load):
    module = load(name)
    assert f"python examples/{name}.py" in module.__doc__
    assert all(
        function.__doc__
        for function in vars(module).values()
        if inspect.isfunction(function) and function.__module__ == name
    )
