"""Changes that a data set makes to its samples on the way out.

A transform is a function of one sample. Those of arrays treat a batch in one call, which data sets
make use of; those of pictures are applied one by one.
"""

from __future__ import annotations

from symgraph.data.transforms.arrays import AsType as AsType
from symgraph.data.transforms.arrays import Flatten as Flatten
from symgraph.data.transforms.arrays import Normalize as Normalize
from symgraph.data.transforms.arrays import ToFloat as ToFloat
from symgraph.data.transforms.arrays import ToInt as ToInt
from symgraph.data.transforms.augmentation import RandomHorizontalFlip as RandomHorizontalFlip
from symgraph.data.transforms.augmentation import RandomRotation as RandomRotation
from symgraph.data.transforms.augmentation import RandomVerticalFlip as RandomVerticalFlip
from symgraph.data.transforms.base import ArrayTransform as ArrayTransform
from symgraph.data.transforms.base import Compose as Compose
from symgraph.data.transforms.base import Elementwise as Elementwise
from symgraph.data.transforms.images import CenterCrop as CenterCrop
from symgraph.data.transforms.images import Convert as Convert
from symgraph.data.transforms.images import Resize as Resize
from symgraph.data.transforms.images import ToArray as ToArray
from symgraph.data.transforms.images import ToPIL as ToPIL

__all__ = [
    "ArrayTransform",
    "AsType",
    "CenterCrop",
    "Compose",
    "Convert",
    "Elementwise",
    "Flatten",
    "Normalize",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "ToArray",
    "ToFloat",
    "ToInt",
    "ToPIL",
]
