import numpy as np, pytest, threading, os, signal, gc, time
import symgraph as sg
from symgraph import Constant, Parameter, Placeholder, State, compile, cond, scan, while_loop, nn
from symgraph.runtime.cuda import frame as fr

def test_long_scan_is_not_recorded(cuda, monkeypatch):
    monkeypatch.setattr(fr, "MOST_RECORDED", 50)
    x = Placeholder("x", ("T",), "float32")
    l, y = scan(lambda a, b: (sg.tanh(a + b), a), Constant(np.float32(.3)), x)
    f = compile([l, y], device="cuda")
    for _ in range(3): f(x=np.ones(1000, "f4"))
    print(f.explain())
    assert cuda.counts["capture"] == 0

def test_device_slices(cuda):
    X = cuda.cupy.asarray(np.arange(20 * 4 * 3, dtype="float32").reshape(80, 3))
    x = Placeholder("x", ("N", 3), "float32"); w = Parameter(np.ones(3, "float32"), "w")
    f = compile((x * w).sum(), updates={w: w * 1.5}, device="cuda", results="device")
    for e in range(4):
        for i in range(0, 80, 4): f(x=X[i:i + 4])
    print(dict(cuda.counts)); assert cuda.counts["graph_launch"] > 40

def test_misaligned(cuda):
    x = Placeholder("x", ("N",), "float32"); f = compile([x * 2, x.sum(), sg.exp(x)], device="cuda")
    X = cuda.cupy.asarray(np.arange(4099, dtype="float32") / 4099)
    for o in range(4):
        r = f(x=X[o:]); h = X[o:].get() 
        np.testing.assert_array_equal(r[0], h * 2)
    print(f.source[:6000])

def test_options_errors(cuda):
    x = Placeholder("x", ("N",), "float32"); w = Parameter(np.ones(3, "f4"), "w"); big = Parameter(np.ones((300, 300), "f4"), "big")
    for fn in (lambda: compile(x, device="cuda", threads=4), lambda: compile(x, device="cuda", mode="reference")(x=np.ones(3, "f4")),
               lambda: compile(x, device="cuda:7"), lambda: compile(x, device="gpu"), lambda: compile(x, device=0), lambda: compile(x, device="cuda:-1"), lambda: compile(x, device=None),
               lambda: compile(x, precision="tf32"), lambda: compile(x, device="cuda", precision="tf33"), lambda: compile(x, device="cuda", precision="half"),
               lambda: compile(x, results="device"), lambda: compile(x, device="cuda", results="cupy"), lambda: compile(x, device="cuda", results="device", mode="reference"),
               lambda: w.to("cuda:9"), lambda: w.to("x"), lambda: w.to(3),
               lambda: compile(x + 1, device="cuda")(x=cuda.cupy.asarray(np.ones(3, "f8"))),
               lambda: compile(x + 1, device="cuda")(x=cuda.cupy.asarray(np.ones((3, 3), "f4"))),
               lambda: compile(x + 1, device="cuda")(x=[1, "a"]),
               lambda: compile(x + 1, device="cuda")(x=np.ones(3, "c8")),
               lambda: compile(x + 1)(x=cuda.cupy.asarray(np.ones(3, "f4"))),
               lambda: compile(x + w, device="cuda")(x=np.ones(5, "f4")),
               lambda: compile(x, device="cuda")(y=1),
               lambda: setattr(w, "value", cuda.cupy.asarray(np.ones(3, "f4"))),
               lambda: Constant(cuda.cupy.asarray(np.ones(3, "f4"))),
               lambda: Parameter(cuda.cupy.asarray(np.ones(3, "f4"))),
               lambda: x + cuda.cupy.asarray(np.ones(3, "f4")),
               lambda: sg.data.DataLoader((np.ones(3),), 2, device="cuda:3"), lambda: sg.data.DataLoader((np.ones(3),), 2, device="bad"),
               lambda: sg.data.DataLoader((np.array(["a", "b"]),), 2, device="cuda").__iter__().__next__(),
               ):
        try: r = fn(); print("OK  ", repr(r)[:200])
        except Exception as e: print("ERR ", type(e).__name__, str(e)[:600].replace("\n", "\n      "))

def test_inspect(cuda):
    x = Placeholder("x", ("N", 3), "float32"); w = Parameter(np.ones((3, 2), "f4"), "w"); p = Placeholder("p", (), "bool")
    h = sg.tanh(x @ w); y = cond(p, lambda: h.sum(), lambda: (h * 2).sum())
    f = compile([y, nn.dropout(h, .5)], updates={w: w - sg.grad(y, w)}, device="cuda")
    fed = dict(x=np.ones((4, 3), "f4"), p=True)
    for what in (lambda: f(**fed), lambda: f, lambda: f.explain(), lambda: f.memory(N=4), lambda: f.profile(**fed), lambda: f.trace(**fed), lambda: f.stages, lambda: f.source, lambda: f.compile_count, lambda: f.device, lambda: sg.to_dot(f), lambda: f.debug(**fed)):
        try: r = what(); print("-----", str(r)[:3500] if not isinstance(r, str) else r[:2500])
        except Exception as e: print("ERR ", type(e).__name__, str(e)[:600])
