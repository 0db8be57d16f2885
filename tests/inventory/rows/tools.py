"""K: utilities; L: modes; M: the GPU; N: saving and loading."""

from tests.inventory.row import row

DOT = "symgraph/test_dot.py"

ROWS = (
    row(
        "K.dot",
        "graphs as pictures: operations light-blue boxes, data orange; verbose adds shapes, dtypes",
        "parses with pydot; works without the program dot",
        f"{DOT}::test_operations_are_blue_boxes_and_data_orange_ellipses",
        f"{DOT}::test_verbose_adds_dtype_and_shape",
        f"{DOT}::test_without_graphviz_the_text_is_written_with_a_warning",
        f"{DOT}::test_pictures_are_rendered_beside_the_text",
    ),
    row(
        "K.counts",
        "nodes of the written graphs: one for each operation, results are no nodes",
        "Goldstein 38 operations, 2 inputs, 17 constants and 6 exponents; series 12 and 141",
    ),
    row(
        "K.sum_to",
        "sum_to, logsumexp, argmax and the like",
        "logsumexp of -1, 0, 1, 2: 2.4401896986",
        "test_inventory_ops.py::test_printed[logsumexp]",
        "test_inventory_ops.py::test_exact[sum_to-row]",
    ),
    row("K.max_backward_shape", "shapes of gradients of max", "(2, 3, 4) along axis 1: (2, 1, 4)"),
    row("K.gradient_check", "gradients against differences, for users", "see O"),
    row(
        "K.array_equal",
        "array_equal and array_allclose on results",
        "results are NumPy arrays: NumPy's own functions",
    ),
    row(
        "K.get_file",
        "a file is fetched once, with a progress bar and no partial file",
        "the second call does not download; a failure leaves nothing",
    ),
    row("K.cache_dir", "where fetched files are kept", "a folder of the user's, or a variable's"),
    row("K.show_progress", "a progress bar", "percent and size"),
    row(
        "K.get_conv_outsize",
        "sizes of convolutions",
        "(4,3,1,0) 2; (4,3,1,1) 4; (7,3,2,0) 3; (4,2,2,0) 2; (224,7,2,3) 112",
    ),
    row("K.get_deconv_outsize", "sizes of transposed convolutions", "(7,4,2,1) 14; (5,10,5,5) 20"),
    row("K.pair", "an int or a pair", "3 is (3, 3)"),
    row(
        "K.as_variable",
        "anything becomes a node, a number or an array",
        "lift and as_array",
        "symgraph/test_leaves.py::test_lift_keeps_nodes_and_wraps_the_rest",
    ),
    row(
        "L.modes",
        "training and testing are two compilations of one graph, restored after an exception",
        "nested blocks; other threads see nothing",
    ),
    row(
        "L.no_grad",
        "without gradients no intermediate is kept",
        "10 tanh of 8 MB: at most 8 MB beside the output (DeZero 80 MB with its graph)",
    ),
    row(
        "M.import",
        "the package imports and runs without CuPy",
        "no error",
        "test_house_rules.py::test_importing_the_package_loads_nothing_heavy",
    ),
    row("M.asking", "asking for a GPU that is not there is a clear error", "what is missing"),
    row("M.gpu", "the same numbers on a GPU", "to 1e-5", needs="a GPU"),
    row(
        "N.save",
        "weights as npz and safetensors under flat names",
        "l0/W, l0/b, l1/W, l1/b",
        "symgraph/test_serialise.py::test_an_mlp_keeps_its_names_and_its_output",
        "symgraph/test_serialise.py::test_every_dtype_comes_back_bit_by_bit",
    ),
    row(
        "N.load",
        "names, shapes and dtypes are checked",
        "a wrong file changes nothing",
        "symgraph/test_serialise_errors.py::test_all_that_does_not_fit_is_listed_at_once",
        "symgraph/test_serialise_errors.py::test_damaged_files_never_load_wrong_numbers",
    ),
    row(
        "N.atomic",
        "an interrupted save leaves the old file",
        "no partial file",
        "symgraph/test_serialise_atomic.py::test_a_failure_leaves_the_old_file_and_nothing_else",
        "symgraph/test_serialise_atomic.py::test_a_killed_process_leaves_a_whole_file",
    ),
    row(
        "N.unknown",
        "saving before shapes are known",
        "a clear error",
        "symgraph/test_serialise.py::test_nothing_is_saved_before_shapes_are_known",
    ),
    row(
        "N.state",
        "the optimiser's state and random state are saved",
        "training goes on as if uninterrupted",
        "symgraph/test_serialise.py::test_a_checkpoint_of_ones_own_loop_goes_on_bit_by_bit",
        "symgraph/test_training_resume.py::test_a_run_resumed_at_any_step_ends_as_the_whole_run_does",
    ),
    row(
        "N.fresh",
        "a file is read into a fresh model before its first forward pass",
        "the weights",
        "symgraph/test_serialise.py::test_a_fresh_model_is_loaded_before_its_first_call",
        "symgraph/test_serialise.py::test_a_fresh_vgg16_takes_the_weights_of_a_small_one",
    ),
)
