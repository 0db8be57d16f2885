"""Training models on arrays, in the manner of Keras.

    >>> model = Sequential(Dense(512, "relu", in_size=784), Dense(10, "softmax"))
    >>> model.compile("rmsprop", "categorical_crossentropy", ["accuracy"])
    >>> history = model.fit(images, labels, epochs=5, batch_size=128)
    >>> history.plot("history.png")

`compile` writes and compiles the graph of a whole training step before data is seen; `fit` only
feeds it.
"""

from __future__ import annotations

from symgraph.training.callbacks import Callback as Callback
from symgraph.training.callbacks import CSVLogger as CSVLogger
from symgraph.training.callbacks import EarlyStopping as EarlyStopping
from symgraph.training.callbacks import LearningRateScheduler as LearningRateScheduler
from symgraph.training.callbacks import ModelCheckpoint as ModelCheckpoint
from symgraph.training.history import History as History
from symgraph.training.losses import Loss as Loss
from symgraph.training.losses import Targets as Targets
from symgraph.training.metrics import Metric as Metric
from symgraph.training.options import FitOptions as FitOptions
from symgraph.training.trainer import Trainer as Trainer

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "FitOptions",
    "History",
    "LearningRateScheduler",
    "Loss",
    "Metric",
    "ModelCheckpoint",
    "Targets",
    "Trainer",
]
