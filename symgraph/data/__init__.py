"""Data sets, ways to change and cut them up, and loaders that give them in batches.

Everything here is NumPy arrays; no graph is built. What reads and fetches files is loaded when it
is named: with archives and compression it takes longer to import than all the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symgraph.data import transforms as transforms
from symgraph.data.batching import Batches as Batches
from symgraph.data.batching import batches as batches
from symgraph.data.curves import SinCurve as SinCurve
from symgraph.data.curves import Spiral as Spiral
from symgraph.data.curves import get_spiral as get_spiral
from symgraph.data.dataset import ArrayDataset as ArrayDataset
from symgraph.data.dataset import Dataset as Dataset
from symgraph.data.digits import digits as digits
from symgraph.data.loader import DataLoader as DataLoader
from symgraph.data.loader import SeqDataLoader as SeqDataLoader
from symgraph.data.splitting import train_test_split as train_test_split

if TYPE_CHECKING:
    from symgraph.data.big import BigData as BigData
    from symgraph.data.cifar import CIFAR10 as CIFAR10
    from symgraph.data.cifar import CIFAR100 as CIFAR100
    from symgraph.data.download import cache_dir as cache_dir
    from symgraph.data.download import get_file as get_file
    from symgraph.data.download import show_progress as show_progress
    from symgraph.data.idx import read_idx as read_idx
    from symgraph.data.idx import write_idx as write_idx
    from symgraph.data.imagenet import ImageNet as ImageNet
    from symgraph.data.mnist import MNIST as MNIST
    from symgraph.data.parsed import load_cache_npz as load_cache_npz
    from symgraph.data.parsed import save_cache_npz as save_cache_npz
    from symgraph.data.stand_in import write_stand_in_mnist as write_stand_in_mnist
    from symgraph.data.text import Characters as Characters
    from symgraph.data.text import Shakespeare as Shakespeare

_LATER = {
    "BigData": "symgraph.data.big",
    "CIFAR10": "symgraph.data.cifar",
    "CIFAR100": "symgraph.data.cifar",
    "cache_dir": "symgraph.data.download",
    "get_file": "symgraph.data.download",
    "show_progress": "symgraph.data.download",
    "read_idx": "symgraph.data.idx",
    "write_idx": "symgraph.data.idx",
    "ImageNet": "symgraph.data.imagenet",
    "MNIST": "symgraph.data.mnist",
    "load_cache_npz": "symgraph.data.parsed",
    "save_cache_npz": "symgraph.data.parsed",
    "write_stand_in_mnist": "symgraph.data.stand_in",
    "Characters": "symgraph.data.text",
    "Shakespeare": "symgraph.data.text",
}

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "ArrayDataset",
    "Batches",
    "BigData",
    "Characters",
    "DataLoader",
    "Dataset",
    "ImageNet",
    "SeqDataLoader",
    "Shakespeare",
    "SinCurve",
    "Spiral",
    "batches",
    "cache_dir",
    "digits",
    "get_file",
    "get_spiral",
    "load_cache_npz",
    "read_idx",
    "save_cache_npz",
    "show_progress",
    "train_test_split",
    "transforms",
    "write_idx",
    "write_stand_in_mnist",
]


def __getattr__(name: str) -> Any:
    """Load a part of the package when it is first used."""
    if name not in _LATER:
        raise AttributeError(f"module 'symgraph.data' has no attribute {name!r}")
    found = getattr(import_module(_LATER[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the names that are loaded later too."""
    return sorted({*globals(), *_LATER})
