"""The rows of the GPU suite at sizes that tests can afford."""

from dataclasses import replace

from benchmarks.cuda.networks import (
    Convolutional,
    Dense,
    Elementwise,
    NormalisedSoftmax,
    Recurrent,
)
from benchmarks.cuda.problems import PROBLEMS

SMALL = {
    "mlp_small": Dense((1, 10, 1), 20, "sigmoid", labelled=False),
    "mlp_mnist": Dense((8, 16, 5), 12),
    "elementwise": Elementwise(1001),
    "softmax_layernorm": NormalisedSoftmax(12, 9),
    "lstm_sine": Recurrent(5, 3, 1, 6),
    "cnn_lenet": Convolutional((1, 8), ((4,), (6,)), (16, 5), 3),
    "lstm_big": Recurrent(3, 2, 4, 8),
    "cnn_vgg": Convolutional((3, 8), ((4, 4), (6, 6), (8, 8)), (12, 7), 2),
    "mlp_big": Dense((8, 9, 9, 9, 5), 6),
    "softmax_layernorm_train": NormalisedSoftmax(12, 9, trained=True),
    "elementwise_functions": Elementwise(1001, functions=True),
}
PROBLEMS_MADE_SMALL = tuple(replace(problem, network=SMALL[problem.name]) for problem in PROBLEMS)
