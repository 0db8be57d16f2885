"""The smallest program: a graph is written once, compiled, and called with whatever fits.

python examples/contract.py
"""

from __future__ import annotations

import numpy as np

from symgraph import Constant, Placeholder, compile


def main() -> None:
    """Compile a * b + 1 and call it with integers and with vectors."""
    a, b = Placeholder("a"), Placeholder("b")  # shapes and dtypes are left open
    f = compile(a * b + Constant(1))

    result = f(a=np.array(2), b=np.array(3))
    print(f"f(2, 3)              {result!r}  ({result.dtype}: integers stay integers)")
    result = f(a=np.ones(10), b=2 * np.ones(10))
    print(f"f(ten 1s, ten 2s)    {result!r}")
    f(a=np.ones(99), b=np.ones(99))
    print(f"compilations         {f.compile_count}  (one for each rank and dtype, none for a size)")


if __name__ == "__main__":
    main()
