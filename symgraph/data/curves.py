"""Small data sets made of formulas: the spiral and the sine."""

from __future__ import annotations

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.dataset import Dataset, TransformLike

ARMS = 3
POINTS_IN_ARM = 100
SEEDS = {True: 1984, False: 2020}


def get_spiral(train: bool = True, rng: np.random.RandomState | None = None) -> tuple[Array, Array]:
    """Return three noisy spiral arms of 100 points each, shuffled.

    The numbers are DeZero's, bit for bit.

    Args:
        train: which of the two sets.
        rng: what noise and order are drawn from, for programs that go on with it; None for
            `RandomState(1984)`, or 2020 for the test set.

    Returns:
        Points, float32 (300, 2), and the numbers of their arms, int64 (300,).

    Example:
        >>> x, t = get_spiral()
        >>> x[0], t[:3]
        (array([-0.13981389, -0.00721657], dtype=float32), array([1, 1, 2]))
    """
    random = np.random.RandomState(SEEDS[bool(train)]) if rng is None else rng
    labels = np.repeat(np.arange(ARMS, dtype=np.int64), POINTS_IN_ARM)
    radius = np.tile(np.arange(POINTS_IN_ARM) / POINTS_IN_ARM, ARMS)
    angle = labels * 4.0 + 4.0 * radius + random.randn(len(labels)) * 0.2
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    order = random.permutation(len(labels))
    return points.astype(np.float32)[order], labels[order]


class Spiral(Dataset):
    """Three noisy spiral arms: points float32 (2,), labels 0 to 2; 300 samples.

    Args:
        train: which of the two sets.
        transform: applied to each point.
        target_transform: applied to each label.

    Example:
        >>> Spiral()[0]
        (array([-0.13981389, -0.00721657], dtype=float32), 1)
    """

    def prepare(self) -> None:
        """Compute the points."""
        self.data, self.label = get_spiral(self.train)


class SinCurve(Dataset):
    """A sine, sampled at 1000 places from 0 to 2 pi: each value, and the one after it.

    The training set is noisy by up to 0.05; the other one is a clean cosine. There are 999 samples,
    both parts float64 (1,).

    Args:
        train: which of the two.
        transform: applied to each value.
        target_transform: applied to each following value.
        rng: what the noise is drawn from; None for NumPy's global generator, as in DeZero, so that
            `np.random.seed(0)` gives DeZero's numbers.

    Example:
        >>> SinCurve(train=False)[0][0]
        array([1.])
    """

    def __init__(
        self,
        train: bool = True,
        transform: TransformLike | None = None,
        target_transform: TransformLike | None = None,
        *,
        rng: np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        """Compute the curve."""
        self._random = rng
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        """Draw the noise and compute the curve."""
        x = np.linspace(0, 2 * np.pi, 1000)
        uniform = np.random.uniform if self._random is None else self._random.uniform
        # Drawn for the cosine too: programs that seed once then go on with the recorded numbers.
        noise = uniform(-0.05, 0.05, size=x.shape)
        y = np.sin(x) + noise if self.train else np.cos(x)
        self.data, self.label = y[:-1, np.newaxis], y[1:, np.newaxis]
