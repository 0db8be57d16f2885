"""V: what DeZero cannot do, and what works here instead."""

from tests.inventory.row import row

GRAPHS = "compiler/test_simplify_graphs.py"
OPS = "test_inventory_ops.py"

ROWS = (
    row(
        "V.tanh",
        "nodes of the derivatives of tanh, orders 1 to 8",
        "at most 3, 6, 12, 25, 50, 95, 197, 398 (DeZero: 2571)",
        f"{GRAPHS}::test_derivatives_of_tanh_stay_small",
    ),
    row(
        "V.goldstein_nodes",
        "nodes of Goldstein-Price, and with both slopes",
        "at most 36 and 80",
        f"{GRAPHS}::test_goldstein_with_both_gradients_has_at_most_80_ops",
    ),
    row("V.rosenbrock_nodes", "nodes of Rosenbrock with both slopes", "at most 14"),
    row("V.newton_nodes", "nodes of f, f' and f'' of Newton's example", "at most 12"),
    row("V.sine_nodes", "nodes of the fourth derivative of sine", "at most 3, in fact 1"),
    row(
        "V.overhead",
        "a call costs microseconds, not one Python function for each op",
        "Goldstein with slopes at least 5 times as fast as 97 NumPy calls of .4 us",
    ),
    row("V.memory", "Goldstein with slopes on 10^6 points", "memory of 3 outputs (DeZero 432 MB)"),
    row(
        "V.release",
        "intermediates live no longer than they must; peaks are known before",
        "f.memory is exact",
        "symgraph/test_inspection.py::test_memory_is_what_a_frame_allocates",
    ),
    row(
        "V.wide",
        "graphs of 2048 branches in linear time",
        "twice the branches, at most thrice the time",
    ),
    row(
        "V.retrace",
        "nothing is traced again",
        "compile_count 1",
        "symgraph/test_contract.py::test_one_compilation_serves_every_batch_of_a_train_step",
    ),
    row(
        "V.dtype",
        "float32 stays float32: gradients, weights, constants",
        "no float64 anywhere",
        "compiler/test_autodiff.py::test_gradients_keep_the_dtype_of_what_they_belong_to",
        "symgraph/test_losses.py::test_integer_targets_leave_float32_alone",
    ),
    row(
        "V.late_errors",
        "shapes are checked when the graph is built",
        "node and line are named",
        "symgraph/test_errors.py::test_a_shape_clash_names_both_operands_and_the_line",
    ),
    row("V.frozen", "frozen parameters", "no AttributeError"),
    row("V.aliases", "gradients that are one object are not damaged", "-3.5 and .5, see G.shared"),
    row(
        "V.conv_second_order",
        "double backpropagation through the weights of a convolution",
        "no TypeError",
    ),
    row("V.pool_third_order", "third order through max pooling", "no NotImplementedError"),
    row(
        "V.batchnorm_second_order",
        "second order through batch normalisation",
        "error at most 1e-7 (DeZero .95)",
    ),
    row("V.batchnorm_test_mode", "gradient of batch normalisation in test mode", "no TypeError"),
    row(
        "V.matmul",
        "gradients of matrix products beyond two axes",
        "checked",
        f"{OPS}::test_exact[matmul-4d-vector]",
        f"{OPS}::test_exact[matmul-4d-matrix]",
    ),
    row("V.average_pooling", "kernels that are not square", "gradient check passes"),
    row("V.max_last_axis", "the gradient of max along axis -1", "no error"),
    row("V.expand_dims", "expand_dims(-1)", "(2, 3, 1)", f"{OPS}::test_exact[expand_dims]"),
    row(
        "V.sigmoid_cross_entropy",
        "at logits of +-1000",
        "1000 and 0, no NaN",
        f"{OPS}::test_exact[sigmoid_cross_entropy-wrong]",
        f"{OPS}::test_exact[sigmoid_cross_entropy-sure]",
    ),
    row(
        "V.softmax_simple",
        "softmax written out does not overflow",
        "[1, 0]",
        f"{OPS}::test_exact[softmax-written-out]",
    ),
    row("V.power_of_zero", "the slope of 0^0", "0", f"{OPS}::test_exact[pow-of-zero]"),
    row("V.labels", "labels of shape (N, 1) or out of range are refused", "an error"),
    row(
        "V.rnn_sizes",
        "a recurrent layer whose input has another size than its state",
        "several steps",
    ),
    row(
        "V.unused_output",
        "a result that nobody uses",
        "its slope is 0",
        "test_inventory_concepts.py::test_row[A5-one-result-of-two]",
    ),
    row("V.operators", "exponents that are arrays, 2**x, @, abs, comparisons", "all work"),
    row(
        "V.truth",
        "the truth of a node is refused with a remedy",
        "cond is named",
        "symgraph/test_errors.py::test_a_truth_value_names_the_remedy",
    ),
    row(
        "V.integer_power",
        "integers to a negative power",
        "refused when built, with the line",
        "symgraph/test_elementwise_ops.py::test_integers_refuse_constant_negative_powers",
    ),
    row(
        "V.control_flow",
        "branches and loops in the graph",
        "see A12, A13",
        "compiler/test_cond_compiled.py",
    ),
    row(
        "V.derivatives",
        "vjp, jvp, hvp, Jacobians, Hessians",
        "agree with differences",
        "compiler/test_derivatives.py",
    ),
    row(
        "V.checkpoint", "activations are recomputed instead of kept", "the same slopes, less memory"
    ),
    row(
        "V.partial",
        "constant parts are computed once, when compiling",
        "folded",
        "compiler/test_fold.py::test_constants_under_other_nodes_are_folded_too",
    ),
    row(
        "V.multi_output",
        "one compiled function with many results",
        "nested as asked",
        "symgraph/test_structure.py::test_results_nest_as_the_outputs",
    ),
    row("V.config", "no global state: modes do not leak to other threads", "see L.modes"),
    row(
        "V.random",
        "random numbers by seed, no global generator",
        "the same for the same seed",
        "symgraph/test_random.py::test_new_numbers_in_every_call_and_the_same_for_the_same_seed",
    ),
    row(
        "V.order",
        "parameters in the order of definition, whatever PYTHONHASHSEED says",
        "the same names in two processes",
    ),
    row(
        "V.optimiser_state",
        "the state of optimisers has names and is saved",
        "see N.state",
        "symgraph/test_optim_state.py::test_state_has_names_that_follow_the_parameters",
    ),
    row(
        "V.gradients",
        "gradients are values, nothing accumulates",
        "see A7",
        "compiler/test_autodiff.py::test_asking_twice_does_not_accumulate",
    ),
    row(
        "V.loader",
        "a loader starts over after a break",
        "at batch 0",
        "symgraph/test_data.py::test_a_pass_that_was_broken_off_starts_over",
    ),
    row(
        "V.scatter_add",
        "rows that repeat add up, without CuPy's removed function",
        "[2, 2, 2]",
        "symgraph/test_indexing.py::test_gradients_add_up_where_indices_repeat",
    ),
    row("V.stubs", "SqueezeNet, RandomHorizontalFlip, CIFAR-100 labels are real", "see F, H, I"),
    row(
        "V.imports",
        "importing needs neither Matplotlib nor Pillow",
        "not loaded",
        "test_house_rules.py::test_importing_the_package_loads_nothing_heavy",
    ),
    row("V.seeds", "steps 59 and 60 repeat", "from a seed"),
    row("V.training", "RMSProp, Nesterov, schedules, metrics, a fit loop", "see G, P"),
)
