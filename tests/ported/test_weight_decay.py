"""Counterpart of DeZero's test of weight decay: it is a penalty on the loss."""

import numpy as np

from symgraph import Parameter, compile, nn, optim, sum

RATE = 0.4
X = np.random.RandomState(0).rand(10, 2)
LABELS = np.zeros(10, "int64")


class TestWeightDecay:
    def test_compare1(self):
        decayed, penalised = Parameter(np.ones((2, 3)), "W0"), Parameter(np.ones((2, 3)), "W1")
        loss = nn.softmax_cross_entropy(X @ decayed, LABELS)
        optimiser = optim.SGD(0.01, hooks=[optim.WeightDecay(RATE)])
        compile(loss, updates=optimiser.updates(loss, [decayed]))()
        loss = nn.softmax_cross_entropy(X @ penalised, LABELS)
        loss = loss + RATE / 2 * sum(penalised**2)
        compile(loss, updates=optim.SGD(0.01).updates(loss, [penalised]))()
        assert (decayed.value != 1).all()
        np.testing.assert_allclose(decayed.value, penalised.value, rtol=1e-14)
