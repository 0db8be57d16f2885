"""G: optimisers, hooks, learning rates: three updates on w^2 from 1."""

from tests.inventory.row import row

OPTIM = "symgraph/test_optim.py"
OPTIM_STATE = "symgraph/test_optim_state.py"

ROWS = (
    row("G.SGD", "SGD(.01), at .1", ".8, .64, .512"),
    row(
        "G.Momentum",
        "momentum (.01, .9), at .1",
        ".8, .46, .062",
    ),
    row("G.AdaGrad", "AdaGrad(.001, 1e-8), at .1", ".9000000005, .833103527566, .780456182219"),
    row(
        "G.AdaDelta",
        "AdaDelta(.95, 1e-6)",
        ".995527875225, .991008680275, .986464462341",
    ),
    row(
        "G.Adam",
        "Adam(.001, .9, .999, 1e-8), at .1",
        ".900000015811, .800412255099, .701586308562",
    ),
    row(
        "G.AdamW",
        "Adam with decoupled weight decay",
        "closed form of three updates",
    ),
    row(
        "G.RMSProp",
        "RMSProp(.1, .9, 1e-7); default rate .001",
        ".683772283983, .498870672999, .369180624518; default .99683772284",
    ),
    row(
        "G.Nesterov",
        "momentum by Nesterov, .1 and .1",
        ".78, .6064, .471232",
    ),
    row(
        "G.WeightDecay",
        "the hook and the penalty rate/2 W^2 are one",
        "w = [3, 4]: [2.55, 3.4]",
    ),
    row(
        "G.ClipGrad",
        "gradients are clipped by their common norm",
        "1: [2.94000001, 3.92000002]; 10: [2.7, 3.6]",
    ),
    row("G.FreezeParam", "frozen weights stay, others move", "unchanged; moved"),
    row(
        "G.shared",
        "hooks do not damage gradients that two parameters share",
        "weight decay -3.5; clipping .5",
    ),
    row(
        "G.step",
        "loss, gradients, hooks and updates are one compiled step; state is graph state",
        "compile_count 1, native and reference agree",
        f"{OPTIM}::test_native_and_reference_train_alike",
        f"{OPTIM_STATE}::test_state_has_names_that_follow_the_parameters",
    ),
    row(
        "G.schedules",
        "learning rates: constant, step, cosine, warm-up, fed at each call",
        "closed forms",
    ),
)
