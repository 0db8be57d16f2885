"""O: gradient checks; P: the program of the Keras chapter; Q: tensors; R: Define-and-Run."""

from tests.inventory.row import row

OPS = "test_inventory_ops.py"

ROWS = (
    row(
        "O.quadratic",
        "the gradient of x' W x",
        "[-1.13986457, .71996745, 1.39838445], relative error about 3e-12",
        "test_inventory_numbers.py::test_row[O-quadratic-form]",
    ),
    row(
        "O.layer",
        "the gradient of the sum of sigmoid(x W + b)",
        "4.5268997921; gb [.28434534, ...], gW [.24821366, ...]; errors below 1e-9",
        f"{OPS}::test_o_gradient_of_a_layer",
    ),
    row(
        "O.wrong",
        "a gradient that is 1 % off fails",
        "above 1e-7",
        f"{OPS}::test_o_gradient_of_a_layer",
    ),
    row(
        "O.integers", "integers have no gradient", "refused", f"{OPS}::test_o_integers_are_refused"
    ),
    row("O.units", "unit tests of square", "4 at 2, slope 6 at 3, and at random points"),
    row(
        "P.sizes",
        "512 relu, 10 softmax on 784 pixels",
        "401 920 + 5 130 = 407 050 parameters",
        "symgraph/test_training.py::test_the_mnist_model_has_its_parameters_and_starts_at_chance",
    ),
    row(
        "P.batches",
        "60 000 images by 128",
        "469 batches, the last of 96; 2345 updates; 79 for 10 000, the last of 16",
        "symgraph/test_training.py::test_60000_images_are_469_batches_and_five_epochs_2345_updates",
    ),
    row(
        "P.fixture",
        "compile(optimizer, loss, metrics), fit, evaluate on the small fixture",
        ".8524963039521258, .7399315800992241, .6913112140429697, .656372374578; accuracy 0, 0, .5",
        "symgraph/test_training.py::test_the_losses_of_the_keras_chapter",
        "symgraph/test_training.py::test_the_gradients_of_the_keras_chapter",
    ),
    row(
        "P.initial",
        "the loss of random weights",
        "about ln 10",
        "symgraph/test_training.py::test_the_mnist_model_has_its_parameters_and_starts_at_chance",
    ),
    row("P.loop", "the loop by hand: draw, forward, loss, gradients, update", "the same numbers"),
    row(
        "P.rates", "rates that are too small or too large, momentum", "crawls, diverges, is faster"
    ),
    row("P.mnist", "5 epochs of MNIST", "at least .97 on the test set", needs="MNIST"),
    row("Q.ranks", "tensors of rank 0 to 5, declared, not allocated", "rank, shape, size"),
    row(
        "Q.slices",
        "slices of (60000, 28, 28) in three spellings, batches",
        "(90, 28, 28), (60000, 14, 14), (128, 28, 28)",
    ),
    row("Q.reshape", "reshape keeps the order; transpose", "0 to 5; (300, 20) to (20, 300)"),
    row("Q.dtypes", "float32, float64, integers; a symbolic sample axis", "no drift"),
    row("Q.video", "(4, 240, 144, 256, 3): 106 168 320 elements", "compiles with < 1 MB allocated"),
    row("R.performance", "good performance", "see the benchmarks: faster than Define-by-Run"),
    row("R.optimise", "structure is easy to optimise", "passes with fewer nodes after than before"),
    row(
        "R.distribute",
        "a graph can be cut in parts and written down",
        "the parts give the same bits",
    ),
    row(
        "R.language",
        "few rules to learn: numbers and arrays become constants",
        "as A2",
        "test_inventory_concepts.py::test_row[A2]",
        "symgraph/test_numpy_protocol.py",
    ),
    row(
        "R.dynamic",
        "dynamic graphs: conditions and loops in the graph",
        "see A12, A13",
        "compiler/test_cond_compiled.py",
    ),
    row(
        "R.debugging",
        "errors with the line of the building, dumps, an interpreter",
        "the same results",
        "symgraph/test_contract.py::test_native_and_reference_train_alike",
        "symgraph/test_errors.py::test_a_shape_clash_names_both_operands_and_the_line",
        "symgraph/test_inspection.py::test_stepping_through_an_mlp",
    ),
)
