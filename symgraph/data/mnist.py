"""MNIST: 70 000 handwritten digits of 28 x 28 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from symgraph.data.dataset import TransformLike
from symgraph.data.idx import read_idx
from symgraph.data.pictures import PictureDataset
from symgraph.data.source import Source, find_in
from symgraph.data.transforms.arrays import Flatten, Normalize, ToFloat
from symgraph.data.transforms.base import Compose
from symgraph.errors import DataError

OFFICIAL = "https://ossci-datasets.s3.amazonaws.com/mnist"
# File -> SHA-256, by `train` and what it holds.
FILES = {
    (True, "images"): (
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    (True, "labels"): (
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    (False, "images"): (
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    (False, "labels"): (
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}
SIZE = (28, 28)
CLASSES = 10
# Vectors of 784 numbers from 0 to 1.
AS_VECTORS = Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)])


class MNIST(PictureDataset):
    """Handwritten digits: 60 000 to train on, 10 000 to test with.

    Attributes:
        data: uint8 (samples, 1, 28, 28).
        label: int64 (samples,), 0 to 9.

    Args:
        train: which of the two sets.
        transform: applied to each picture uint8 (1, 28, 28); unless told otherwise it makes vectors
            float32 (784,) from 0 to 1. None leaves the pictures as they are.
        target_transform: applied to each label.
        source: a folder with the four files, gzipped or not, or the address of such a folder; None
            for the official files, which are fetched once.

    Raises:
        DownloadError: a file could not be fetched.
        DataError: a file is missing or damaged, or is not MNIST's.

    Example:
        >>> train_set = MNIST(train=True)
        >>> train_set[0][0].shape, len(train_set)
        ((784,), 60000)
    """

    def __init__(
        self,
        train: bool = True,
        transform: TransformLike | None = AS_VECTORS,
        target_transform: TransformLike | None = None,
        *,
        source: Source = None,
    ) -> None:
        """Find and read the files."""
        self.source = source
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        """Read pictures and labels, and check that they belong together."""
        image_path, label_path = self._find("images"), self._find("labels")
        images, labels = read_idx(image_path), read_idx(label_path)
        if images.dtype != np.uint8 or images.shape[1:] != SIZE:
            raise DataError(
                f"{image_path} holds {images.dtype} of shape {images.shape}; "
                f"the pictures of MNIST are uint8 of shape (samples, 28, 28)"
            )
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise DataError(
                f"{label_path} holds {labels.dtype} of shape {labels.shape}, but there are "
                f"{len(images)} pictures in {image_path}"
            )
        if labels.size and labels.max() >= CLASSES:
            raise DataError(f"{label_path} holds the label {labels.max()}, which is no digit")
        self.data, self.label = images[:, np.newaxis], labels.astype(np.int64)

    def _find(self, kind: str) -> Path:
        name, digest = FILES[bool(self.train), kind]
        return find_in(self.source, name, OFFICIAL, digest)

    @staticmethod
    def labels() -> dict[int, str]:
        """Return the names of the classes."""
        return {digit: str(digit) for digit in range(CLASSES)}
