import numpy as np, symgraph as sg
def build(kind):
    rng = np.random.default_rng(0)
    w = sg.Parameter((rng.normal(size=(12, 2, 3, 3)) / 3).astype(np.float32))
    b = sg.Parameter(np.zeros(12, np.float32))
    x = sg.Placeholder("x", ("N", 2, 8, 8), "float32")
    y = sg.nn.conv2d(x, w, b if kind!="nobias" else None, pad=1)
    if kind=="relu": y=sg.relu(y)
    if kind=="pool": y=sg.nn.max_pool2d(y,2)
    loss = sg.mean(y * y)
    ps=(w,b) if kind!="nobias" else (w,)
    return loss, {p: p - 0.01 * sg.grad(loss, p) for p in ps}, w
import pytest
@pytest.mark.parametrize("kind", ["nobias","bias","relu","pool"])
def test_a(cuda, kind):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(6, 2, 8, 8)).astype(np.float32)
    for d in ("cpu","cuda"):
        loss, up, w = build(kind)
        f=sg.compile(loss, updates=up, device=d)
        print(kind, d, [float(f(x=images)) for _ in range(3)], w.value.sum())
