"""S: programs: a counterpart of each of the 60 steps and of the 8 examples of the source."""

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

EXAMPLES = {
    "S.tanh": ("derivatives of tanh as a picture", "order 4, D5"),
    "S.spiral": (
        "the spiral with batch normalisation",
        "accuracy .9533; .984860, .702347, ... .233214",
    ),
    "S.mnist": ("digits with relu, Adam, weight decay", "trains"),
    "S.mnist_gpu": ("digits on a GPU", "as D.step52"),
    "S.gan": ("a generative adversarial net", "6 640 193 and 6 559 169 parameters"),
    "S.vae": (
        "a variational autoencoder",
        "564 965 parameters; KL 0 at (0, 0), 1.0 at means (1, 1)",
    ),
    "S.grad_cam": ("the gradient at an intermediate convolution", "one compiled output"),
    "S.style_transfer": (
        "the gradient by the image",
        "gram of 0..7 [[14, 38], [38, 126]]; total variation of 0..8 is 40, slopes",
    ),
    "S.tree_lstm": ("a Tree-LSTM: one compiled function for any tree", "compile_count 1"),
    "S.readme": ("examples/README.md maps step to file, command and output", "all 60 steps"),
}


def _step(number: int, what: str) -> Row:
    return row(f"S.step{number:02}", what, "an example that runs, see examples/README.md")


ROWS = (
    *(_step(number, what) for number, what in enumerate(STEPS, start=1)),
    *(row(number, what, value) for number, (what, value) in EXAMPLES.items()),
)
