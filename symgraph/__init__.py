"""symgraph: write a graph once, compile it, run it natively.

    >>> from symgraph import Constant, Placeholder, compile
    >>> a, b = Placeholder("a"), Placeholder("b")
    >>> f = compile(a * b + Constant(1))
    >>> f(a=2, b=3)
    array(7)

The package reads in three steps: `symgraph` is the language, `symgraph.compiler` turns graphs into
plans, `symgraph.runtime` runs plans. Importing it loads NumPy and nothing heavier.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symgraph import nn as nn
from symgraph import optim as optim
from symgraph import random as random
from symgraph.compilation import compile as compile
from symgraph.compiler.autodiff import grad as grad
from symgraph.compiler.derivatives import hessian as hessian
from symgraph.compiler.derivatives import hvp as hvp
from symgraph.compiler.derivatives import jacobian as jacobian
from symgraph.compiler.derivatives import jvp as jvp
from symgraph.compiler.derivatives import vjp as vjp
from symgraph.errors import *  # noqa: F403  # the whole tree is public
from symgraph.function import Function as Function
from symgraph.leaves import Constant as Constant
from symgraph.leaves import Parameter as Parameter
from symgraph.leaves import Placeholder as Placeholder
from symgraph.leaves import State as State
from symgraph.modes import is_training as is_training
from symgraph.modes import test_mode as test_mode
from symgraph.modes import train_mode as train_mode
from symgraph.modes import using_config as using_config
from symgraph.node import Node as Node
from symgraph.ops.public import *  # noqa: F403  # NumPy's names, listed in `public`

if TYPE_CHECKING:
    from symgraph import data as data
    from symgraph import layers as layers
    from symgraph import models as models
    from symgraph import training as training
    from symgraph.checking import gradient_check as gradient_check
    from symgraph.checking import numerical_gradient as numerical_gradient
    from symgraph.pictures.graphviz import to_dot as to_dot
    from symgraph.pictures.graphviz import to_networkx as to_networkx
    from symgraph.pictures.html import to_html as to_html
    from symgraph.serialise.checkpoint import load_checkpoint as load_checkpoint
    from symgraph.serialise.checkpoint import save_checkpoint as save_checkpoint
    from symgraph.serialise.weights import load as load
    from symgraph.serialise.weights import load_arrays as load_arrays
    from symgraph.serialise.weights import save as save
    from symgraph.training.trainer import Trainer as Trainer

__version__ = "0.1.0"

# What a program that only builds and runs a graph never touches is loaded when it is named.
_LATER = {
    "data": "symgraph.data",
    "gradient_check": "symgraph.checking",
    "layers": "symgraph.layers",
    "models": "symgraph.models",
    "numerical_gradient": "symgraph.checking",
    "to_dot": "symgraph.pictures.graphviz",
    "to_networkx": "symgraph.pictures.graphviz",
    "to_html": "symgraph.pictures.html",
    "training": "symgraph.training",
    "Trainer": "symgraph.training",
    "load": "symgraph.serialise",
    "load_arrays": "symgraph.serialise",
    "load_checkpoint": "symgraph.serialise",
    "save": "symgraph.serialise",
    "save_checkpoint": "symgraph.serialise",
}

# What `from symgraph import *` gives: all but the names that would hide Python's own.
_BUILTIN = {"abs", "all", "any", "max", "min", "random", "round", "sum"}
__all__ = [
    name
    for name in (*globals(), *_LATER)
    if not name.startswith("_")
    and name not in {*_BUILTIN, "annotations", "import_module", "Any", "TYPE_CHECKING"}
]


def __getattr__(name: str) -> Any:
    """Load a part of the package when it is first used."""
    if name not in _LATER:
        raise AttributeError(f"module 'symgraph' has no attribute {name!r}")
    module = import_module(_LATER[name])
    found = module if _LATER[name] == f"symgraph.{name}" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the names that are loaded later too."""
    return sorted({*globals(), *_LATER})
