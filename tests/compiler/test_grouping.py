"""Which ops share a kernel."""

import numpy as np

import symgraph as sg
from symgraph import Parameter, Placeholder, compile


def test_an_update_is_one_region_however_early_its_gradient_is_there():
    """Adam's rates are ready one kernel later than a gradient that is fed."""
    w = Parameter(np.zeros(4096, np.float32), "w")
    g = Placeholder("g", (4096,), "float32")
    f = compile(g[0], updates=sg.optim.Adam(0.1).updates_from([g], [w]))
    regions = [row.label for row in f._latest.plan.instructions if "elementwise" in row.label]
    assert len(regions) == 1
    f(g=np.ones(4096, np.float32))
    np.testing.assert_allclose(w.value, -0.1, rtol=1e-5)


def test_an_output_may_be_computed_where_it_is_used():
    x, z = Placeholder("x", ("N",), "float64"), Placeholder("z", ("M",), "float64")
    early = sg.exp(x)
    f = compile([early, early * z.sum()])
    values = np.linspace(-1, 1, 10_000)
    found = f(x=values, z=np.ones(3))
    np.testing.assert_allclose(found[0], np.exp(values), rtol=1e-12)
    np.testing.assert_allclose(found[1], 3 * np.exp(values), rtol=1e-12)
    (together,) = [
        nodes for _, nodes in f._latest.kernels if any(node.op.name == "exp" for node in nodes)
    ]
    assert any(node.op.name == "multiply" for node in together)


def test_old_carries_that_are_kept_are_copied_by_the_kernel_of_the_step():
    xs = sg.Placeholder("xs", ("T", "N", 64), "float32")

    w = Parameter(np.eye(64, dtype="float32"), "w")

    def step(carry, row):
        # The carry is read by a product alone, which is a kernel of its own.
        return sg.tanh(carry @ w + row), carry

    _, kept = sg.scan(step, sg.Constant(np.zeros((1, 64), "float32")) + xs[0], xs)
    inside = [line for line in sg.compile(kept).explain().splitlines() if line.startswith("    #")]
    assert sum("region" in line for line in inside) == 1
