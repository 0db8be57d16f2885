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

from symgraph import data as data
from symgraph import layers as layers
from symgraph import models as models
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
from symgraph.node import Node as Node
from symgraph.ops.public import *  # noqa: F403  # NumPy's names, listed in `public`
from symgraph.pictures.graphviz import to_dot as to_dot
from symgraph.pictures.graphviz import to_networkx as to_networkx
from symgraph.pictures.html import to_html as to_html

__version__ = "0.1.0"
