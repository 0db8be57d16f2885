"""What a network learns from: data sets, changes on the way out, batches, and files read lazily.

python examples/data_sets.py

Draws turned and mirrored digits to examples/output/data_sets.png. Needs no network.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from plotting import picture

import symgraph as sg
from symgraph.data import transforms

Array = np.ndarray[Any, Any]


class Squares(sg.data.Dataset):
    """Numbers and their squares: all that a data set has to say is where its samples are."""

    def prepare(self) -> None:
        """Make the samples."""
        self.data = np.arange(10, dtype="float32")
        self.label = np.arange(10) ** 2


def show_samples() -> None:
    """Index data sets, with and without transforms."""
    squares = Squares(transform=lambda x: x / 2.0, target_transform=lambda t: t + 1)
    print(f"sample 3: {squares[3]}, samples 7 to 9: {squares[7:][1].tolist()}")
    whole = sg.data.Spiral()
    half = sg.data.Spiral(transform=transforms.Elementwise(lambda x: x / 2))
    print(f"spiral: {len(whole)} samples, the first {whole[0][0]} of arm {whole[0][1]}")
    print(f"        halved {half[0][0]}")
    hello = sg.data.Characters("hello")
    print(f"hello: {hello.data.tolist()}, then {hello.label.tolist()}")


def show_batches() -> None:
    """Go through data in batches, shuffled, in sequence, and with a thread that reads ahead."""
    loader = sg.data.DataLoader(np.arange(10), 4, rng=np.random.RandomState(0))
    for _ in range(2):
        print(f"shuffled: {[batch.tolist() for batch in loader]}")
    sequence = sg.data.SeqDataLoader(np.arange(10), 3)
    print(f"in sequence: {[batch.tolist() for batch in sequence]}")
    pixels, labels = np.zeros((60_000, 784), "uint8"), np.zeros(60_000, "int64")
    scaled = transforms.Compose([transforms.ToFloat(), transforms.Normalize(0.0, 255.0)])
    images = sg.data.ArrayDataset(pixels, labels, transform=scaled)
    loader = sg.data.DataLoader(images, 128, rng=0, prefetch=2)
    sizes = [len(t) for _, t in loader]
    print(f"60000 images by 128: {len(sizes)} batches, the last of {sizes[-1]}")


def read_lazily(folder: Path) -> None:
    """Write some samples to files of their own, and read two of a million."""
    for part in ("data", "label"):
        (folder / part).mkdir()
    for index in (7, 123_456):
        np.save(folder / "data" / f"{index}.npy", np.full(3, index, "float32"))
        np.save(folder / "label" / f"{index}.npy", np.int64(index % 10))
    samples = sg.data.BigData(folder, length=1_000_000)
    print(f"{len(samples)} samples, none read; number 123456: {samples[123_456]}")


def augment() -> None:
    """Draw digits, and what random turns and flips make of them."""
    images = sg.data.digits()[0][:8].reshape(-1, 8, 8)
    changes = {
        "as they are": None,
        "turned": transforms.RandomRotation(30, rng=0),
        "mirrored": transforms.RandomHorizontalFlip(rng=0),
    }
    with picture("data_sets.png", rows=len(changes), figsize=(8, 4)) as panels:
        for panel, (name, change) in zip(panels, changes.items(), strict=True):
            changed, _ = sg.data.ArrayDataset(images, transform=change)[:]
            panel.imshow(np.concatenate(list(changed), axis=1), cmap="gray")
            panel.set(title=name, xticks=[], yticks=[])


def main() -> None:
    """Show all of it."""
    show_samples()
    show_batches()
    with tempfile.TemporaryDirectory() as folder:
        read_lazily(Path(folder))
    augment()


if __name__ == "__main__":
    main()
