"""D: derivatives of higher order, descents, and the trainings of steps 42 to 53."""

from tests.inventory.row import row

NUMBERS = "test_inventory_numbers.py"

ROWS = (
    row("D1", "x^2 + y^2 at (1, 1)", "2, slopes 2, 2, Hessian 2 I", f"{NUMBERS}::test_row[D1]"),
    row(
        "D2",
        "the function of Matyas at (1, 1)",
        "value and slopes 0.040000000000000036, Hessian [[.52, -.48], [-.48, .52]]",
        f"{NUMBERS}::test_row[D2]",
    ),
    row(
        "D2b",
        "the function of Goldstein and Price",
        "(1, 1): 1876, slopes -5376, 8064, Hessian [[21228, -25812], [-25812, 44748]]; minimum 3",
        f"{NUMBERS}::test_row[D2b]",
        f"{NUMBERS}::test_row[D2b-minimum]",
    ),
    row(
        "D3",
        "Taylor series of sine at pi/4",
        "4 terms: 0.7071064695751781, slope 0.7071032148228457; 47 terms: 0.7071067811865475 both",
        f"{NUMBERS}::test_d3_taylor_series_of_sine",
    ),
    row(
        "D4",
        "sine and its derivatives to order 4",
        "sin, cos, -sin, -cos exactly, on a range and at 1",
        f"{NUMBERS}::test_row[D4]",
        f"{NUMBERS}::test_row[D4-first-of-a-range]",
    ),
    row(
        "D5",
        "tanh and its derivatives to order 8 at 1",
        "0.7615941559557649, .41997434161402614, ... -277.062135603031, to 1e-12 and 1e-10",
        f"{NUMBERS}::test_d5_derivatives_of_tanh",
    ),
    row(
        "D6",
        "descent on the function of Rosenbrock from (0, 2), rate .001",
        "first slopes -2, 400; (.002, 1.6), ...; 50 000 updates end within 2e-9 of (1, 1)",
        f"{NUMBERS}::test_row[D6]",
        f"{NUMBERS}::test_row[D6-minimum]",
        f"{NUMBERS}::test_d6_rosenbrock_descends",
    ),
    row(
        "D7",
        "Newton's method on x^4 - 2 x^2 from 2",
        "8, 24, 44; 2, 1.4545454545454546, ... 1 after 7 steps",
        f"{NUMBERS}::test_d7_newton",
    ),
    row(
        "D8",
        "double backpropagation: y = x^2, z = (dy/dx)^3 + y at 2",
        "z 68, dz/dx 100.0",
        f"{NUMBERS}::test_row[D8]",
    ),
    row(
        "D9",
        "a gradient penalty, w = (3, 4)",
        "16, slopes 4.8, 6.4",
        f"{NUMBERS}::test_row[D9]",
    ),
    row(
        "D10",
        "small slopes",
        "x^2 at 3: 6; x^2 + 3xy + y^2 at (2, 1): 7, 8; (3x + 2)^2 at 1: 30; xw + b at (3, 2, 1): "
        "2, 3, 1",
        f"{NUMBERS}::test_row[D10]",
    ),
    row(
        "D11",
        "the sum of x W",
        "[22, 28], 50, slope rows 1, 2, 3",
        f"{NUMBERS}::test_row[D11]",
    ),
    row("D12", "tensors: x + c, summed", "all slopes 1", f"{NUMBERS}::test_row[D12]"),
    row("D13", "the direction of steepest descent", "[4, 3]", f"{NUMBERS}::test_row[D13]"),
    row("D14", "a linear system", "A (1, 1, 1) = [3, 2, 5]", f"{NUMBERS}::test_row[D14]"),
    row(
        "D.step42",
        "linear regression, rate .1, 100 updates",
        "first loss 42.296340129442335; W 2.118073690511974, b 5.466089050922982, to 1e-10",
    ),
    row(
        "D.step43",
        "a network by hand, rate .2",
        "losses at 0, 1000, ... 9000: .8473695850, .2514286285, ... .0772213240",
    ),
    row(
        "D.step44",
        "the same with layers",
        ".8165178479901, .2499028013421, ... .0788816801079 to 1e-6, then .07666, .07635, .07617",
    ),
    row(
        "D.step45",
        "the same with a model",
        "as step 44",
    ),
    row(
        "D.step46",
        "the same with MLP and SGD",
        "as step 44",
    ),
    row(
        "D.step47",
        "logits, softmax and loss of a small network",
        "logits -.61505777, -.42790161, .31733287; loss 1.4967442462341742, to 1e-6",
    ),
    row(
        "D.step48",
        "the spiral, 300 epochs",
        "epochs 1, 2, 3, 10, 50, 100, 200, 300: 1.126942 ... .129589; accuracy .97333, .94333",
    ),
    row(
        "D.step49",
        "the same with a data set",
        "as step 48",
    ),
    row(
        "D.step50",
        "the same with a data loader",
        "epoch 1: 1.0944/.4033, test 1.0468/.3267; epoch 300: .1082/.9667, test .1458/.9600",
    ),
    row(
        "D.step51",
        "digits with an MLP of sigmoids and SGD, and with relu and Adam",
        "the loss falls; on MNIST 5 epochs give 1.9140 ... .6339 within 10 %",
        "examples/test_mlp_digits.py::test_it_reads_97_percent_of_unseen_digits_within_ten_seconds",
    ),
    row("D.step52", "the same on a GPU", "the same numbers to 1e-5", needs="a GPU"),
    row(
        "D.step53",
        "weights are saved and training goes on",
        "as if it had not been interrupted",
        "symgraph/test_training_resume.py::test_a_run_resumed_at_any_step_ends_as_the_whole_run_does",
    ),
)
