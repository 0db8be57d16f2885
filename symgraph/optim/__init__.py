"""Optimisers: each gives the new values of parameters as graph, so that they join the one step.

    >>> optimizer = Adam(WarmUp(Cosine(1e-3, 10_000), 500), hooks=[ClipGrad(1.0)])
    >>> step = compile(loss, updates=optimizer.updates(loss, model.parameters()))

An optimiser holds the state that its rule needs (velocities, moments, the number of updates) as
`State` of its own, which the same step updates. Nothing here runs at call time.
"""

from __future__ import annotations

from symgraph.optim.adam import Adam as Adam
from symgraph.optim.adam import AdamW as AdamW
from symgraph.optim.adaptive import AdaDelta as AdaDelta
from symgraph.optim.adaptive import AdaGrad as AdaGrad
from symgraph.optim.adaptive import RMSProp as RMSProp
from symgraph.optim.base import Optimizer as Optimizer
from symgraph.optim.descent import SGD as SGD
from symgraph.optim.descent import Momentum as Momentum
from symgraph.optim.descent import Nesterov as Nesterov
from symgraph.optim.hooks import ClipGrad as ClipGrad
from symgraph.optim.hooks import FreezeParam as FreezeParam
from symgraph.optim.hooks import WeightDecay as WeightDecay
from symgraph.optim.schedules import Constant as Constant
from symgraph.optim.schedules import Cosine as Cosine
from symgraph.optim.schedules import Exponential as Exponential
from symgraph.optim.schedules import Piecewise as Piecewise
from symgraph.optim.schedules import Schedule as Schedule
from symgraph.optim.schedules import Step as Step
from symgraph.optim.schedules import WarmUp as WarmUp

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "ClipGrad",
    "Constant",
    "Cosine",
    "Exponential",
    "FreezeParam",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "Piecewise",
    "RMSProp",
    "Schedule",
    "Step",
    "WarmUp",
    "WeightDecay",
]
