"""S: programs: a counterpart of each of the 60 steps and of the 8 examples of the source."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.inventory.row import Row, row

STEPS = (
    "boxes: variables",
    "functions that make variables",
    "functions in a row",
    "numerical differentiation",
    "theory of backpropagation",
    "backpropagation by hand",
    "backpropagation by itself",
    "from recursion to loops",
    "functions easier to use, arrays only",
    "tests",
    "several inputs and outputs",
    "several inputs, easier",
    "several inputs, backwards",
    "one variable twice",
    "complex graphs, theory",
    "complex graphs, practice",
    "memory and circular references",
    "memory saved",
    "variables easier to use",
    "operators",
    "operators with numbers and arrays",
    "more operators",
    "a package",
    "differentiation of complex functions",
    "pictures of graphs, theory",
    "pictures of graphs",
    "Taylor series",
    "optimisation: Rosenbrock",
    "Newton's method by hand",
    "higher derivatives, preparation",
    "higher derivatives, theory",
    "higher derivatives, practice",
    "Newton's method by itself",
    "derivatives of sine",
    "derivatives of tanh, pictures",
    "double backpropagation",
    "tensors",
    "shapes: reshape, transpose",
    "sums",
    "broadcasting",
    "matrix products",
    "linear regression",
    "a neural network",
    "parameters and layers",
    "models",
    "optimisers",
    "softmax and cross entropy",
    "many classes: the spiral",
    "data sets and transforms",
    "data loaders",
    "digits: MNIST",
    "GPU",
    "saving and loading",
    "dropout and test mode",
    "convolution, sizes",
    "convolution, channels",
    "im2col and convolution",
    "VGG16",
    "sequences with RNN",
    "sequences with LSTM",
)

NUMBERS = "examples/test_network_numbers.py"
PRINTS = "examples/test_programs.py::test_the_example_prints_what_it_should"

EXAMPLES = (
    row(
        "S.tanh",
        "derivatives of tanh as a picture",
        "order 4, D5",
        "examples/test_numbers.py::test_orders_of_tanh",
        f"{PRINTS}[tanh_graph]",
    ),
    row(
        "S.spiral",
        "the spiral with batch normalisation",
        "last losses of epochs 0, 10, ...: .984860, .702347, ... .233214; accuracy .9533",
        f"{NUMBERS}::test_spirals_with_normalised_values",
    ),
    row(
        "S.mnist",
        "digits with relu, Adam, weight decay",
        "trains",
        f"{NUMBERS}::test_a_perceptron_learns_digits_of_mnists_form",
    ),
    row("S.mnist_gpu", "digits on a GPU", "as D.step52", needs="a GPU"),
    row(
        "S.gan",
        "a generative adversarial net",
        "6 640 193 and 6 559 169 parameters, 14 720 and 2 304 states; it learns",
        f"{NUMBERS}::test_the_competitors_have_the_sizes_of_the_source",
        f"{NUMBERS}::test_the_generator_learns_what_digits_look_like",
    ),
    row(
        "S.vae",
        "a variational autoencoder",
        "564 965 parameters; divergence 0 at (0, 0), 1.0 at means (1, 1); it learns",
        f"{NUMBERS}::test_the_autoencoder_has_the_size_of_the_source",
        f"{NUMBERS}::test_divergence_from_the_standard_normal_distribution",
        f"{NUMBERS}::test_the_autoencoder_learns",
    ),
    row(
        "S.grad_cam",
        "the gradient at an intermediate convolution",
        "one compiled output; the heat lies on the digit",
        f"{NUMBERS}::test_the_heat_lies_on_the_digit",
    ),
    row(
        "S.style_transfer",
        "the gradient by the image",
        "gram of 0..7 [[14, 38], [38, 126]]; total variation of 0..8 is 40, and its slopes",
        f"{NUMBERS}::test_texture_and_smoothness_of_pictures",
        f"{NUMBERS}::test_a_picture_takes_on_a_style",
    ),
    row(
        "S.tree_lstm",
        "a Tree-LSTM: one compiled function for any tree",
        "compile_count 1, at least 97 % right",
        f"{NUMBERS}::test_trees_of_any_shape_run_through_one_function",
    ),
    row(
        "S.readme",
        "examples/README.md maps each step to file, command and output",
        "all 60 steps",
    ),
)


class Counterpart(NamedTuple):
    """What examples/README.md says of a step: its program, how to run it, what it prints."""

    program: str
    command: str
    expected: str


def counterparts_of_steps() -> dict[int, Counterpart]:
    """Return the table of steps in examples/README.md."""
    text = (Path(__file__).parents[3] / "examples" / "README.md").read_text(encoding="utf-8")
    line = re.compile(r"^\| (\d+) \| .+? \| `(\w+)\.py` \| `(.+?)` \| (.+?) \|$", re.MULTILINE)
    return {int(number): Counterpart(*cells) for number, *cells in line.findall(text)}


def _step(number: int, what: str, found: Counterpart | None) -> Row:
    if found is None:
        return row(f"S.step{number:02}", what, "an example, see examples/README.md")
    tests = [f"{PRINTS}[{found.program}]"]
    return row(f"S.step{number:02}", what, f"{found.command}: {found.expected}", *tests)


COUNTERPARTS = counterparts_of_steps()
ROWS = (
    *(_step(number, what, COUNTERPARTS.get(number)) for number, what in enumerate(STEPS, start=1)),
    *EXAMPLES,
)
