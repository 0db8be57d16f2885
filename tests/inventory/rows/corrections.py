"""U: errors in the source documents: the right values are what we compute."""

from tests.inventory.row import row

OPS = "test_inventory_ops.py"
NUMBERS = "test_inventory_numbers.py"

ROWS = (
    row(
        "U1",
        "the slope of sigmoid(3x + 2) at .5, printed as .073139",
        ".085359",
        f"{OPS}::test_printed[sigmoid-slope]",
        f"{OPS}::test_exact[sigmoid-slope]",
    ),
    row("U2", "the sum of x W, printed as 35", "50", f"{NUMBERS}::test_row[D11]"),
    row(
        "U3",
        "the garbled gradient of the quadratic form",
        "O.quadratic",
        f"{NUMBERS}::test_row[O-quadratic-form]",
    ),
    row("U4", "the numerical gradient by an array of ints: truncated to 49999...", "rows 1, 2, 3"),
    row("U5", "slips of the Keras chapter: shapes, dtypes, one-hot labels", "the right shapes"),
    row(
        "U6",
        "slips of the DeZero notes: the system is singular",
        "rank 2",
        f"{NUMBERS}::test_row[D14]",
    ),
    row(
        "U7",
        "slips of the 60 steps: Newton's rule, 1/N, the signs of the series",
        "D7, C, D3",
        f"{NUMBERS}::test_d7_newton",
        f"{NUMBERS}::test_d3_taylor_series_of_sine",
        f"{OPS}::test_exact[mean_squared_error]",
    ),
    row(
        "U8",
        "formulas given as pictures only",
        "A16 to A18",
        *(
            f"test_inventory_concepts.py::test_row[{name}]"
            for name in ("A16-nested", "A16-sigmoid", "A17", "A18")
        ),
    ),
)
