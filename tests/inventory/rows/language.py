"""A: the graph language and its concepts."""

from tests.inventory.row import row

CONCEPTS = "test_inventory_concepts.py"
ERRORS = "symgraph/test_errors.py"
FEEDS = "symgraph/test_feeds.py"

ROWS = (
    row(
        "A1",
        "named leaves, constants, compile, call by keyword; building computes nothing",
        "a*b + 1 at (2, 3) is 7, on ones and twos of length 10 ten 3's, from one function",
        f"{CONCEPTS}::test_row[A1]",
        f"{CONCEPTS}::test_row[A1-vectors]",
        "symgraph/test_contract.py::test_the_example",
    ),
    row(
        "A2",
        "numbers and arrays become constants by themselves",
        "x = 2: x + array(3.0) is 5, x + 3.0 is 5, 3.0*x + 1.0 is 7",
        f"{CONCEPTS}::test_row[A2]",
    ),
    row(
        "A3",
        "operators, also reflected, also with an array on the left",
        "x = 2: -x -2, 2 - x 0, x - 1 1, 3/x 1.5, x**3 8 with slope 12; array([1.0]) + x is a node",
        f"{CONCEPTS}::test_row[A3]",
    ),
    row(
        "A4",
        "name, shape, ndim, size, dtype, len, repr, T, reshape, transpose, sum, max, min, @, []",
        "a (2, 3) leaf: shape (2, 3), ndim 2, size 6, len 2, and a repr without data",
        f"{CONCEPTS}::test_a4_attributes_need_no_data",
    ),
    row(
        "A5",
        "functions of several arguments and results; ops of the user's own",
        "square(10) 100; add(2, 3) 5; x^2 + y^2 at (2, 3) 13, slopes 4, 6; 0 if unused",
        f"{CONCEPTS}::test_row[A5]",
        f"{CONCEPTS}::test_row[A5-one-result-of-two]",
    ),
    row(
        "A6",
        "composition, the chain rule, and why differences are central",
        "(e^(x^2))^2 at 0.5: 1.648721270700128, slope 3.297442541400256",
        f"{CONCEPTS}::test_row[A6]",
        f"{CONCEPTS}::test_row[A6-differences]",
    ),
    row(
        "A7",
        "one variable used twice; asking again adds nothing up",
        "x + x has slope 2, x + x + x 3; x^2 at 2 has slope 4 however often one asks",
        f"{CONCEPTS}::test_row[A7]",
        "compiler/test_autodiff.py::test_asking_twice_does_not_accumulate",
    ),
    row(
        "A8",
        "any acyclic graph is differentiated in topological order",
        "a = x^2, y = a^2 + a^2 at 2: 32, slope 64",
        f"{CONCEPTS}::test_row[A8]",
    ),
    row(
        "A9",
        "memory is freed after the last use; gradients of intermediates only on request",
        "t = x0 + x1, y = x0 + t: slopes 2, 1; t = x^2, y = 3t at 2: by t 3, by x 12",
        f"{CONCEPTS}::test_row[A9]",
        "runtime/test_arena.py",
    ),
    row(
        "A10",
        "type errors early: leaves, feeds, ranks, shapes, dtypes, with the user's line",
        "each raises at build, compile or call, and names node and line",
        f"{ERRORS}::test_shape_errors_name_the_line",
        f"{ERRORS}::test_dtype_errors_name_the_line",
        f"{ERRORS}::test_what_is_no_array_is_refused",
        f"{FEEDS}::test_a_wrong_dtype_is_refused",
        f"{FEEDS}::test_unknown_and_missing_feeds",
        f"{FEEDS}::test_a_wrong_rank_is_refused_also_after_a_right_one",
        f"{FEEDS}::test_wrong_extents_are_refused_also_after_right_ones",
    ),
    row(
        "A11",
        "results without axes stay arrays",
        "x^2 of a 0-d array is a 0-d numpy.ndarray",
        f"{CONCEPTS}::test_a11_results_without_axes_stay_arrays",
    ),
    row(
        "A12",
        "a lazy condition, differentiated through the chosen branch only",
        "True: 2 + 3 = 5, slopes (1, 1); False: 2 * 3 = 6, slopes (3, 2); 1/0 beside it is no harm",
        f"{CONCEPTS}::test_a12_condition",
        "compiler/test_cond_compiled.py::test_the_other_branch_cannot_pollute",
    ),
    row(
        "A13",
        "loops that depend on data, loops over time, differentiable",
        "the sine series of D3 and the recurrent net of E6, as compiled loops",
    ),
    row(
        "A14",
        "truncated backpropagation: stop_gradient, state carried between calls",
        "E6: slope 0.57908603 truncated, 0.69294126 in full",
        f"{CONCEPTS}::test_row[A14]",
    ),
    row(
        "A15",
        "package layout, public names, one command for all tests, continuous integration",
        "symgraph, compiler, runtime, examples, benchmarks, tests; `make test` works offline",
    ),
    row(
        "A16",
        "a function as mathematics, code and diagram; nested, of several arguments, of vectors",
        "max(x^2, 0) at -3: 9, slope -6; sigmoid(x + y) at (2, 3): 0.9933071490757152, slopes "
        "0.0066480566707901",
        f"{CONCEPTS}::test_row[A16-nested]",
        f"{CONCEPTS}::test_row[A16-sigmoid]",
    ),
    row(
        "A17",
        "sigmoid of a product of vectors",
        "[1, 2, 3] . [.1, .2, .3]: 0.8021838885585817 and both slopes",
        f"{CONCEPTS}::test_row[A17]",
    ),
    row(
        "A18",
        "the sum of the sigmoid of a matrix product",
        "3.0431711555627645; slopes by both matrices",
        f"{CONCEPTS}::test_row[A18]",
    ),
    row(
        "A19",
        "no recursion in building, differentiating, compiling or printing",
        "a chain of 20 000 additions: slope 1, no RecursionError",
        f"{CONCEPTS}::test_a19_a_chain_of_20_000_additions",
        "test_long_chains_shown.py::test_a_long_chain_is_printed",
    ),
    row(
        "A20",
        "Bayes' rule, mean squared error, derivatives and linear algebra as plain expressions",
        "0.9 * 0.01 / 0.05 = 0.18",
        f"{CONCEPTS}::test_row[A20]",
    ),
)
