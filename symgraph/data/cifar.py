"""CIFAR-10 and CIFAR-100: 60 000 colour pictures of 32 x 32 pixels.

The binary distributions are read: records of label bytes and 3072 pixels. The distributions for
Python hold pickles, which could run any code, and are refused.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from symgraph.data.arrays import Array
from symgraph.data.cifar_names import CIFAR10_NAMES, COARSE_NAMES, FINE_NAMES
from symgraph.data.dataset import TransformLike
from symgraph.data.parsed import load_cache_npz, save_cache_npz
from symgraph.data.pictures import PictureDataset
from symgraph.data.source import Source, find_file
from symgraph.data.transforms.arrays import Normalize, ToFloat
from symgraph.data.transforms.base import Compose
from symgraph.errors import DataError

SHAPE = (3, 32, 32)
PIXELS = 3072
# Eight times the largest official file: an archive that claims more is not believed.
_LARGEST_FILE = 1 << 30
# Brightness from -1 to 1.
CENTRED = Compose([ToFloat(), Normalize(0.0, 255.0), Normalize(0.5, 0.5)])


class CIFAR10(PictureDataset):
    """Pictures of ten kinds of things: 50 000 to train on, 10 000 to test with.

    Attributes:
        data: uint8 (samples, 3, 32, 32), red, green and blue.
        label: int64 (samples,).

    Args:
        train: which of the two sets.
        transform: applied to each picture uint8 (3, 32, 32); unless told otherwise it makes them
            float32 from -1 to 1. None leaves them as they are.
        target_transform: applied to each label.
        source: the path or address of the binary distribution, as the archive or as the folder
            with its files; None for the official one, which is fetched once.

    Raises:
        DownloadError: the archive could not be fetched.
        DataError: it is damaged, or is not the binary distribution.

    Example:
        >>> train_set = CIFAR10(train=True)
        >>> train_set[0][0].shape, CIFAR10.labels()[int(train_set.label[0])]
        ((3, 32, 32), 'frog')
    """

    url: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    digest: ClassVar[str] = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    # The number of classes for each of a record's label bytes.
    classes: ClassVar[tuple[int, ...]] = (10,)

    def __init__(
        self,
        train: bool = True,
        transform: TransformLike | None = CENTRED,
        target_transform: TransformLike | None = None,
        *,
        source: Source = None,
    ) -> None:
        """Find and read the files."""
        self.source = source
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        """Read pictures and labels, from what was kept of an earlier time if possible."""
        path = find_file(self.source, self.url, self.digest)
        kept = None if path.is_dir() else load_cache_npz(path, self.train)
        if kept is None:
            kept = self._read(path)
            if not path.is_dir():
                save_cache_npz(*kept, path, self.train)
        self.data = kept[0]
        self.label = kept[1][:, self._label_column()]

    @staticmethod
    def file_names(train: bool) -> list[str]:
        """Return what the files of a set are called in the distribution."""
        return [f"data_batch_{n}.bin" for n in range(1, 6)] if train else ["test_batch.bin"]

    @staticmethod
    def labels() -> dict[int, str]:
        """Return the names of the classes."""
        return dict(enumerate(CIFAR10_NAMES))

    def _label_column(self) -> int:
        return 0

    def _read(self, path: Path) -> tuple[Array, Array]:
        """Return pictures, and labels with a column for each label byte."""
        records = [
            self._records(f"{name} of {path}", data)
            for name, data in _contents(path, self.file_names(self.train)).items()
        ]
        together = np.concatenate(records)
        labels = together[:, : len(self.classes)].astype(np.int64)
        return together[:, len(self.classes) :].reshape(-1, *SHAPE), labels

    def _records(self, where: str, data: bytes) -> Array:
        size = len(self.classes) + PIXELS
        if not data or len(data) % size:
            raise DataError(f"{where} has {len(data)} bytes, which are no records of {size}")
        records = np.frombuffer(data, np.uint8).reshape(-1, size)
        for column, count in enumerate(self.classes):
            if (largest := int(records[:, column].max())) >= count:
                raise DataError(f"{where} holds the label {largest}, but there are {count} classes")
        return records


class CIFAR100(CIFAR10):
    """Pictures of a hundred kinds of things, five to each of twenty groups.

    Args:
        train: which of the two sets, of 50 000 and 10 000 pictures.
        transform: as in `CIFAR10`.
        target_transform: as in `CIFAR10`.
        label_type: "fine" for the kind, "coarse" for the group.
        source: as in `CIFAR10`.

    Raises:
        DownloadError: the archive could not be fetched.
        DataError: it is damaged, is not the binary distribution, or there is no such label type.

    Example:
        >>> test_set = CIFAR100(train=False, label_type="coarse")
        >>> CIFAR100.labels("coarse")[int(test_set.label[0])]
        'large natural outdoor scenes'
    """

    url: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    digest: ClassVar[str] = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
    classes: ClassVar[tuple[int, ...]] = (20, 100)

    def __init__(
        self,
        train: bool = True,
        transform: TransformLike | None = CENTRED,
        target_transform: TransformLike | None = None,
        label_type: str = "fine",
        *,
        source: Source = None,
    ) -> None:
        """Find and read the files."""
        _check_label_type(label_type)
        self.label_type = label_type
        super().__init__(train, transform, target_transform, source=source)

    @staticmethod
    def file_names(train: bool) -> list[str]:
        """Return what the files of a set are called in the distribution."""
        return ["train.bin" if train else "test.bin"]

    @staticmethod
    def labels(label_type: str = "fine") -> dict[int, str]:
        """Return the names of the classes.

        Args:
            label_type: "fine" for the 100 kinds, "coarse" for the 20 groups.

        Raises:
            DataError: there is no such label type.
        """
        _check_label_type(label_type)
        return dict(enumerate(FINE_NAMES if label_type == "fine" else COARSE_NAMES))

    def _label_column(self) -> int:
        return 1 if self.label_type == "fine" else 0


def _check_label_type(label_type: str) -> None:
    if label_type not in ("fine", "coarse"):
        raise DataError(f"a label type is 'fine' or 'coarse', not {label_type!r}")


def _contents(path: Path, names: list[str]) -> dict[str, bytes]:
    """Return the bytes of the named files, from a folder or an archive."""
    if path.is_dir():
        files = {file.name: file for file in path.rglob("*.bin")}
        found = {name: files[name].read_bytes() for name in names if name in files}
    else:
        found = _archived(path, names)
    for name in names:
        if name not in found:
            raise DataError(
                f"there is no {name} in {path}; what is needed is the binary distribution, "
                "for the one for Python holds pickles, which are never read"
            )
    return {name: found[name] for name in names}


def _archived(path: Path, names: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz" if _is_zipped(path) else "r:") as archive:
            # One after the other, for going back in a compressed file means starting over.
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name not in names or not member.isfile():
                    continue
                if member.size > _LARGEST_FILE:
                    raise DataError(f"{name} of {path} is too large: {member.size} bytes")
                file: Any = archive.extractfile(member)
                found[name] = file.read()
            _read_to_the_end(archive)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no archive, or is damaged: {error}") from None
    return found


def _read_to_the_end(archive: Any) -> None:
    """Read what follows the last file, for only at the very end is gzip's checksum compared."""
    while archive.fileobj.read(1 << 20):
        pass


def _is_zipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
