"""B: ops, each with its values, its gradient, and the gradient of that; C: losses."""

from tests.inventory.row import Row, row

OPS = "test_inventory_ops.py"
EVERY = "test_every_op.py"
KINKS = "compiler/test_gradient_kinks.py"


def op(
    number: str, what: str, value: str, names: str, *tests: str, cases: str = "", checks: str = ""
) -> Row:
    """Return the row of an op.

    Args:
        number: as in `row`.
        what: as in `row`.
        value: as in `row`.
        names: the op's records, whose gradients and second derivatives are checked.
        tests: more tests.
        cases: cases of the two tables of values.
        checks: which of the two checks of derivatives apply; both by default.
    """
    kinds = (checks or "gradient second").split()
    functions = {
        "gradient": "test_gradient_is_the_central_difference",
        "second": "test_second_derivative_is_the_central_difference_of_the_first",
        "constant": "test_what_has_no_gradient_is_locally_constant",
    }
    shown = [f"{EVERY}::{functions[kind]}[{n}-*" for n in names.split() for kind in kinds]
    shown += [f"{OPS}::{case}" for case in cases.split()]
    return row(number, what, value, *shown, *tests)


ARITHMETIC = (
    row(
        "B.every",
        "every op: shape and dtype rule, values, symbolic gradient, gradient of the gradient",
        "differences at most 1e-7 in float64; native code equals the reference",
        f"{EVERY}::test_type_is_that_of_numpy",
        f"{EVERY}::test_gradient_is_the_central_difference",
        f"{EVERY}::test_second_derivative_is_the_central_difference_of_the_first",
        "test_every_op_native.py::test_native_is_reference",
        "test_every_op_native.py::test_elementwise_native_is_reference",
    ),
    op(
        "B.Add",
        "addition with broadcasting",
        "[1, 2, 3] + [10]: [11, 12, 13], slope of [10] is [3]; (1, 10) + (10,): slope (10,)",
        "add",
        cases="test_exact[add] test_exact[add-bias]",
    ),
    op("B.Sub", "subtraction", "slopes 1 and -1, summed back", "subtract", cases="test_exact[sub]"),
    op(
        "B.Mul",
        "multiplication",
        "(2, 3) times [[1], [2]]: slope [[3], [12]]; a*b + c at (3, 2, 1) 7, slopes 2, 3",
        "multiply",
        cases="test_exact[mul] test_exact[mul-add]",
    ),
    op("B.Div", "division", "6/3 is 2, slopes 1/3, -2/3", "divide", cases="test_exact[div]"),
    op("B.Neg", "negation", "-2, slope -1", "negative", cases="test_exact[neg]"),
    op(
        "B.Pow",
        "powers, also with an array as exponent",
        "(x + 3)^2 at 1: 16, slope 8; x^0 at 0 has slope 0",
        "power",
        "symgraph/test_elementwise_ops.py::test_power_has_finite_gradients_at_zero",
        cases="test_exact[pow] test_exact[pow-of-zero]",
    ),
    op(
        "B.Sin",
        "sine and cosine",
        "sin(pi/4) 0.7071067811865475, slope 0.7071067811865476",
        "sin cos",
        cases="test_exact[sin]",
    ),
    op(
        "B.Tanh",
        "hyperbolic tangent",
        "D5",
        "tanh",
        "test_inventory_numbers.py::test_d5_derivatives_of_tanh",
    ),
    op(
        "B.Exp",
        "exponential and logarithm",
        "log of 1, 2, 4: 0, .69314718, 1.38629436, slopes 1, .5, .25",
        "exp log",
        cases="test_exact[log]",
    ),
)

LAYOUT = (
    op(
        "B.Reshape",
        "reshape, also with -1; expand_dims, also from behind; flatten keeps axis 0",
        "(2, 3) to (6,); (2, 3, 4) to (2, 12); expand_dims(-1) of (2, 3) is (2, 3, 1)",
        "reshape expand_dims",
        cases="test_exact[reshape] test_exact[expand_dims]",
    ),
    op(
        "B.Transpose",
        "transpose by any axes",
        "(2, 3, 4) by (1, 2, 0): (3, 4, 2), slope (2, 3, 4)",
        "transpose",
        cases="test_exact[transpose]",
    ),
    op(
        "B.GetItem",
        "indexing by ints, slices, tuples, Ellipsis, int arrays; the gradient adds up",
        "[[1, 2, 3], [4, 5, 6]][1]: [4, 5, 6]; rows [0, 0, 1]: slope rows 2 and 1",
        "index",
        "symgraph/test_indexing.py::test_indexing_is_that_of_numpy",
        cases="test_exact[getitem] test_exact[getitem-array]",
    ),
    op(
        "B.Sum",
        "sums along any axes",
        "1 to 6: 21, slopes 1; axis 0: [5, 7, 9]; keepdims of (2, 3, 4, 5): (1, 1, 1, 1)",
        "sum",
        cases="test_exact[sum] test_exact[sum-axis] test_exact[sum-keepdims]",
    ),
    op(
        "B.SumTo",
        "sum_to a smaller shape",
        "[[0, 1, 2], [3, 4, 5]] to (1, 3): [[3, 5, 7]], to (2, 1): [[3], [12]]",
        "sum_to",
        cases="test_exact[sum_to-row] test_exact[sum_to-column]",
    ),
    op(
        "B.BroadcastTo",
        "broadcast_to a larger shape",
        "[1, 2, 3] to (2, 3), slope [2, 2, 2]",
        "broadcast_to",
        cases="test_exact[broadcast_to]",
    ),
    op(
        "B.Mean",
        "means along any axes",
        "[[0, 1, 2], [3, 4, 5]] along axis 1: [1, 4], slopes 1/3",
        "mean",
        cases="test_exact[mean]",
    ),
    op(
        "B.Concat",
        "concatenate and stack",
        "NumPy's values; slopes cut apart again",
        "concatenate stack",
        "symgraph/test_layout.py::test_layout_is_that_of_numpy",
    ),
    op(
        "B.Cast",
        "casts between dtypes",
        "NumPy's values; the slope comes back in the dtype of the operand",
        "cast",
        "symgraph/test_elementwise_ops.py::test_check_index_passes_or_raises",
    ),
)

ALGEBRA = (
    op(
        "B.MatMul",
        "matrix products of two axes and more, with vectors, and their gradients",
        "[[1, 2, 3], [4, 5, 6]] by its transpose [[14, 32], [32, 77]]; 4 axes by 1 and by 2",
        "matmul batch_matmul dot",
        "symgraph/test_linalg.py::test_matmul_is_that_of_numpy",
        cases="test_exact[matmul-by-own-transpose] test_exact[matmul-4d-vector] "
        "test_exact[matmul-4d-matrix]",
    ),
    op(
        "B.Linear",
        "x W + b, with or without b",
        "[[11, 12], [29, 39]] and its three slopes",
        "linear",
        cases="test_exact[linear]",
    ),
    row(
        "B.Affine",
        "geometry of a layer: an affine map, relu(W x + b) as one compiled kernel",
        "operands stay as they are; (32, 10) + (10,) is (32, 10)",
    ),
    op(
        "B.EmbedId",
        "rows of a table by ids",
        "ids [1, 3, 1] of 5x2: [[2, 3], [6, 7], [2, 3]], slope row 1 is 2, row 3 is 1",
        "gather scatter_add",
        cases="test_exact[embed]",
    ),
)

ACTIVATIONS = (
    op(
        "B.Sigmoid",
        "the stable logistic function",
        "of 0, 1, 2, 4: .5, .73105858, .88079708, .98201379; of 3x + 2 at .5: slope .0853590716392",
        "sigmoid",
        cases="test_printed[sigmoid] test_printed[sigmoid-slope] test_exact[sigmoid-slope]",
    ),
    op(
        "B.ReLU",
        "relu, with slope 0 at 0",
        "[[-1, 0], [2, -3], [-2, 1]]: [[0, 0], [2, 0], [0, 1]]",
        "relu",
        cases="test_exact[relu]",
    ),
    op(
        "B.LeakyReLU",
        "leaky relu, slope 0.2",
        "[[-1, 0], [2, -3], [-2, 1]]: [[-.2, 0], [2, -.6], [-.4, 1]]",
        "leaky_relu",
        cases="test_exact[leaky_relu]",
    ),
    op(
        "B.Softmax",
        "softmax along an axis, stable also when written out",
        "of -1, 0, 1, 2: .0320586033, .0871443187, .2368828181, .6439142599; of [1000, 0]: [1, 0]",
        "softmax",
        cases="test_printed[softmax] test_exact[softmax-extreme] test_exact[softmax-written-out]",
    ),
    op(
        "B.LogSoftmax",
        "logarithm of softmax",
        "of -1, 0, 1, 2: -3.4401896986 to -.4401896986; of [1000, 0]: [0, -1000]",
        "log_softmax",
        cases="test_printed[log_softmax] test_exact[log_softmax-extreme]",
    ),
    op(
        "B.Max",
        "largest and smallest along any axes, negative ones too; ties share the slope evenly",
        "[[1, 5, 3], [7, 2, 7]] along axis 1: [5, 7], slopes [0, 1, 0], [.5, 0, .5]",
        "max min",
        f"{KINKS}::test_tied_extremes_share_evenly",
        cases="test_exact[max]",
    ),
    op(
        "B.Clip",
        "clip, ends included",
        "[-1, 0, .5, 1, 2] to [0, 1]: slopes 0, 1, 1, 1, 0",
        "clip",
        cases="test_exact[clip]",
    ),
    op(
        "B.Dropout",
        "inverted dropout, a new mask in every call, a ratio that may change, identity in tests",
        "ones become 0 or 2, half of them; ratios .5, then .75 without compiling again",
        "dropout",
        f"{OPS}::test_b_dropout_draws_a_new_mask_at_each_call",
        "symgraph/test_random.py::test_dropout_outside_of_training_is_the_identity",
    ),
    row(
        "B.DropoutDirect",
        "direct dropout scales when testing, not when training",
        "train: mask * x; test: (1 - ratio) * x; the means agree",
    ),
    row(
        "B.BatchNorm",
        "batch normalisation of 2 and 4 axes, running statistics with the unbiased variance",
        "y [[-.99999, -.999995], [.99999, 2.999995]]; running mean [.2, .4], variance [1.1, 1.7]",
    ),
    row("B.Accuracy", "accuracy", "2 of 3 right: 0.6666666667", f"{OPS}::test_b_accuracy"),
)

IMAGES = (
    row(
        "B.Conv2d",
        "convolution with stride, padding, bias; slopes by x, W and b",
        "4x4 by 3x3, b = 1: [[259, 295], [403, 439]]; slope of W [[10, 14, 18], ...]; 7x7 stride 2",
    ),
    row(
        "B.Deconv2d",
        "transposed convolution with an output size",
        "2x2 by 3x3: rows [0, 0, 1, 2] to [12, 32, 37, 24]; K4 S2 P1: row 0 [0, 4, 5, 6]",
    ),
    row("B.Conv2DGradW", "double backpropagation through the weights", "no error, checked slopes"),
    row(
        "B.MaxPooling",
        "max pooling, padded with -inf",
        "4x4 k2 s2: [[5, 7], [13, 15]]; 5x5 k3 s2: [[12, 14], [22, 24]]; 15 to 7; -1 stays -1",
    ),
    row(
        "B.AveragePooling",
        "average pooling, also with kernels that are not square",
        "4x4: [[2.5, 4.5], [10.5, 12.5]], slope .25; kernel (2, 3) passes the gradient check",
    ),
    row(
        "B.Im2col",
        "patches as a matrix or with 6 axes",
        "(1, 3, 7, 7) k5: (9, 75); batch of 10: (90, 75); 3x3 k2: [0, 1, 3, 4] to [4, 5, 7, 8]",
    ),
    row("B.Col2im", "the adjoint of im2col", "[[0, 2, 2], [6, 16, 10], [6, 14, 8]]"),
)

ABSENT = (
    op("B.Abs", "absolute value", "slope 0 at 0", "absolute", f"{KINKS}::test_conventions"),
    op(
        "B.Comparison",
        "comparisons",
        "NumPy's truth values; no slope",
        "less less_equal greater greater_equal equal not_equal",
        checks="constant",
    ),
    op(
        "B.Where",
        "where selects, in the gradient too",
        "a NaN on the side not taken does not leak",
        "where",
        f"{KINKS}::test_where_selects",
    ),
    row("B.Loops", "while_loop and scan", "see A13"),
    row(
        "B.TensorPower",
        "an array to the power of an array, 2**x",
        "[2, 3]^[3, 2]: [8, 9], slopes 12, 6 and 8 ln 2, 9 ln 3; 2**x at 3: 8, slope 8 ln 2",
    ),
    row("B.MatMulOperator", "the operator @, also reflected", "array @ node is a node"),
    op("B.Sqrt", "square root", "sqrt(4) is 2, slope 1/4", "sqrt"),
    op(
        "B.Maximum",
        "maximum and minimum of two arrays; ties share the slope",
        "slopes .5 and .5 at a tie",
        "maximum minimum",
        f"{KINKS}::test_conventions",
    ),
    row(
        "B.Argmax",
        "argmax, argmin",
        "NumPy's positions",
        "symgraph/test_reduce.py::test_positions",
        f"{EVERY}::test_type_is_that_of_numpy[argmax-*",
        f"{EVERY}::test_type_is_that_of_numpy[argmin-*",
    ),
    op("B.BatchedMatMul", "products of stacks of matrices", "NumPy's values", "batch_matmul"),
    row(
        "B.StopGradient",
        "stop_gradient",
        "a constant for the gradient",
        "compiler/test_autodiff.py::test_stop_gradient_is_a_constant",
    ),
    row("B.OneHot", "one-hot rows", "rows of eye", "symgraph/test_indexing.py::test_one_hot"),
    row(
        "B.Random",
        "random ops with a seed",
        "the same numbers for the same seed, new ones in every call",
        "symgraph/test_random.py::test_new_numbers_in_every_call_and_the_same_for_the_same_seed",
        "symgraph/test_random.py::test_distributions",
    ),
)

LOSSES = (
    row(
        "C.mean_squared_error",
        "squares over the first axis only",
        "[0, 1, 2] to [1, 1, 4]: 1.6666666667, slopes [-2/3, 0, -4/3]; [[0, 1], [2, 3]] to 0: 7",
        f"{OPS}::test_exact[mean_squared_error]",
        f"{OPS}::test_exact[mean_squared_error-of-rows]",
        "symgraph/test_losses.py::test_mean_squared_error_divides_by_rows",
    ),
    row(
        "C.softmax_cross_entropy",
        "mean of -log p[t]",
        "0.4401896985611953 and its slopes; zero logits of 10 classes: ln 10",
        f"{OPS}::test_printed[softmax_cross_entropy]",
        f"{OPS}::test_exact[softmax_cross_entropy-of-zeros]",
        f"{EVERY}::test_second_derivative_is_the_central_difference_of_the_first"
        "[softmax_cross_entropy-*",
    ),
    row(
        "C.sigmoid_cross_entropy",
        "binary, from logits, exact everywhere",
        "0.2200948493, slopes -.05960146, .13447071; logit 40: 4e-18; logit -1000: 1000",
        f"{OPS}::test_printed[sigmoid_cross_entropy]",
        f"{OPS}::test_exact[sigmoid_cross_entropy-sure]",
        f"{OPS}::test_exact[sigmoid_cross_entropy-wrong]",
        "symgraph/test_losses.py::test_sigmoid_cross_entropy_is_exact_everywhere",
    ),
    row(
        "C.binary_cross_entropy",
        "from probabilities",
        "[.9, .2] for [1, 0]: 0.1642520335, slopes -.55555556, .625; 784 halves: 543.427389559",
        f"{OPS}::test_printed[binary_cross_entropy]",
        f"{OPS}::test_exact[binary_cross_entropy-of-halves]",
    ),
    row(
        "C.categorical_cross_entropy",
        "from one-hot targets",
        "the same numbers as for labels",
        f"{OPS}::test_printed[categorical_cross_entropy]",
        "symgraph/test_losses.py::test_categorical_cross_entropies_agree_with_labels",
    ),
)

ROWS = (*ARITHMETIC, *LAYOUT, *ALGEBRA, *ACTIVATIONS, *IMAGES, *ABSENT, *LOSSES)
