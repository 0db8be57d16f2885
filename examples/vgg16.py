"""VGG16 looks at a picture: 138 million parameters, all operations in one compiled function.

python examples/vgg16.py --weights vgg16.npz --image zebra.jpg

Without `--weights` the parameters are random, and the answer means nothing; without `--image` the
picture is drawn here. Weights are a file `.npz` or `.safetensors` with the names conv1_1/W ...
fc8/b.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import symgraph as sg

Array = np.ndarray[Any, Any]


def stripes(size: int) -> Array:
    """Return a picture (size, size, 3) with black and white stripes on green ground."""
    across, along = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    picture = np.zeros((size, size, 3), "uint8")
    picture[:] = (90, 140, 60)
    inside = across**2 / 0.6 + along**2 / 0.3 < 1
    dark = np.sin(25 * across + 4 * np.sin(3 * along)) > 0
    picture[inside & dark], picture[inside & ~dark] = 25, 235
    return picture


def read_picture(path: str | None, size: int) -> Array:
    """Return a picture as VGG16 wants it, (1, 3, size, size): blue, green, red less their means."""
    if path is None:
        return sg.models.VGG16.preprocess(stripes(size), size=(size, size))[None]
    from PIL import Image

    with Image.open(Path(path)) as image:
        return sg.models.VGG16.preprocess(image, size=(size, size))[None]


def build(size: int, weights: str | None) -> tuple[sg.models.VGG16, sg.Function]:
    """Return the model, and the function from pictures to the probabilities of 1000 classes."""
    x = sg.Placeholder("x", ("N", 3, size, size), "float32")
    model = sg.models.VGG16(seed=0)
    with sg.test_mode():  # nothing is dropped
        y = model(x)
    if weights is not None:
        sg.load(model, weights)
    return model, sg.compile(sg.softmax(y, axis=1))


def main(arguments: list[str] | None = None) -> None:
    """Build, look at the picture, and print the five classes that are most probable."""
    parser = argparse.ArgumentParser(description="Classify a picture with VGG16.")
    parser.add_argument("--weights", help="file of weights; random ones without it")
    parser.add_argument("--image", help="picture; stripes without it")
    parser.add_argument("--size", type=int, default=224, help="height and width, at least 32")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    model, classify = build(options.size, options.weights)
    count = sum(parameter.size or 0 for parameter in model.parameters())
    print(f"built in {time.perf_counter() - started:.1f} s: {count} parameters")
    x = read_picture(options.image, options.size)
    classify(x=x)
    started = time.perf_counter()
    (probabilities,) = classify(x=x)
    print(f"one picture {x.shape} takes {time.perf_counter() - started:.2f} s")
    for number in np.argsort(-probabilities)[:5]:
        print(f"class {number:3}: {probabilities[number]:.4f}")


if __name__ == "__main__":
    main()
