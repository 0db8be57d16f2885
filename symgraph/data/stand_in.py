"""A stand-in for MNIST that needs no network: the digits of scikit-learn, enlarged and varied."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.digits import digits
from symgraph.data.idx import write_idx
from symgraph.data.mnist import FILES, SIZE
from symgraph.data.splitting import train_test_split
from symgraph.data.transforms.sampling import sample_affine
from symgraph.errors import DataError

_TOGETHER = 2048


def write_stand_in_mnist(
    folder: str | Path, train: int = 60_000, test: int = 10_000, seed: int = 0
) -> Path:
    """Write files in the form of MNIST's, made of 1797 small digits.

    Each picture shows one of the 8 x 8 digits, enlarged to about 20 x 20 pixels, turned, scaled and
    shifted a little. No digit is in both sets. The pictures are easier than MNIST's: what they show
    is that a program for MNIST runs, and how fast.

    Args:
        folder: where the four files are put; it is made.
        train: how many pictures to train on.
        test: how many to test with.
        seed: which pictures; the same ones for the same int.

    Returns:
        The folder, to be given to `MNIST(source=...)`.

    Raises:
        MissingPackageError: scikit-learn is not installed.
        DataError: a number of pictures is not positive.
        OSError: the files cannot be written.

    Example:
        >>> train_set = MNIST(source=write_stand_in_mnist("stand-in"))
        >>> len(train_set)
        60000
    """
    if any(type(count) is not int or count < 1 for count in (train, test)):
        raise DataError(f"the numbers of pictures are positive ints, not {train!r} and {test!r}")
    folder = Path(folder)
    if folder.exists():
        _write(folder, train, test, seed)
        return folder
    # A folder that is there is complete: it gets its name last.
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    unfinished.mkdir(parents=True)
    try:
        _write(unfinished, train, test, seed)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder


def _write(folder: Path, train: int, test: int, seed: int) -> None:
    train_x, test_x, train_t, test_t = train_test_split(*digits(), seed=seed)
    for is_train, count, x, t in ((True, train, train_x, train_t), (False, test, test_x, test_t)):
        random = np.random.default_rng([seed, is_train])
        chosen = random.integers(len(x), size=count)
        parts = np.split(chosen, range(_TOGETHER, count, _TOGETHER))
        images = np.concatenate([_enlarged(x[part], random) for part in parts])
        write_idx(folder / FILES[is_train, "images"][0], images)
        write_idx(folder / FILES[is_train, "labels"][0], t[chosen].astype(np.uint8))


def _enlarged(small: Array, random: np.random.Generator) -> Array:
    """Return pictures uint8 (count, 28, 28) of digits (count, 64) from 0 to 1."""
    count = len(small)
    angle = random.uniform(-0.2, 0.2, count)
    # From a pixel of the result to one of the 8 x 8: about 20 pixels show the 8.
    scale = 8 / 20 * random.uniform(0.85, 1.15, count)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrices = np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2)
    offsets = random.uniform(-0.8, 0.8, (count, 2))
    images = sample_affine(small.reshape(count, 1, 8, 8), matrices, offsets, SIZE)
    pixels: Array = np.rint(images[:, 0] * 255).astype(np.uint8)
    return pixels
