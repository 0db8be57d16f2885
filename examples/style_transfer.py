"""Style transfer: a picture gets the features of one picture and the texture of another.

python examples/style_transfer.py --steps 100 --weights vgg16.npz

What is trained is the picture: the step differentiates through VGG16 by its input. Without
`--weights` the network is random, which still carries colours and stripes over. Features that no
loss asks for are never computed. The picture goes to examples/output/style_transfer.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture
from tqdm import tqdm

import symgraph as sg
from symgraph.models.vgg import MEAN_BGR

Array = np.ndarray[Any, Any]
CONTENT_LAYER, STYLE_LAYERS = "conv3_1", ("conv1_1", "conv2_1", "conv3_1")
CONTENT_WEIGHT, STYLE_WEIGHT, SMOOTHNESS = 1e-4, 1.0, 1e-2


def gram(maps: Any) -> Any:
    """Return how the channels of feature maps (1, C, H, W) go together, (C, C): their texture."""
    channels = maps.shape[1]
    rows = maps.reshape(channels, -1)
    return rows @ rows.T


def total_variation(x: sg.Node) -> sg.Node:
    """Return the sum of squared differences of neighbouring pixels of pictures (1, C, H, W)."""
    here, below, beside = x[:, :, :-1, :-1], x[:, :, 1:, :-1], x[:, :, :-1, 1:]
    return sg.sum((here - below) ** 2 + (here - beside) ** 2)


def style_loss(style: Array, maps: sg.Node) -> sg.Node:
    """Return how far the texture of feature maps is from that of others, for their size."""
    return sg.sum((gram(maps) - gram(style)) ** 2) / (4.0 * style.size**2)


def pictures(size: int) -> tuple[Array, Array]:
    """Return a photograph and waves of colour, (size, size, 3) of bytes."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    photograph = Image.fromarray(load_sample_image("china.jpg")[:, 100:527]).resize((size, size))
    across, along = np.meshgrid(np.linspace(0, 4, size), np.linspace(0, 4, size))
    waves = np.sin(9 * (across + 0.5 * np.sin(3 * along)) + np.array([0, 1, 2])[:, None, None])
    return np.asarray(photograph), (127.5 + 120 * waves).astype("uint8").transpose(1, 2, 0)


def build(content: Array, style: Array, weights: str | None) -> tuple[sg.Function, sg.Parameter]:
    """Return the step, which gives the loss, and the picture (1, 3, H, W) that it changes."""
    model = sg.models.VGG16(seed=0)
    x = sg.Placeholder("x", (1, 3, *content.shape[2:]), "float32")
    features = sg.compile(model.feature_maps(x))
    if weights is not None:
        sg.load(model, weights)
    wanted, textures = features(x=content)[CONTENT_LAYER], features(x=style)
    changed = sg.Parameter(content, "picture")
    maps = model.feature_maps(changed)
    loss = CONTENT_WEIGHT * sg.sum((maps[CONTENT_LAYER] - wanted) ** 2) / 2
    for layer in STYLE_LAYERS:
        loss += STYLE_WEIGHT / len(STYLE_LAYERS) * style_loss(textures[layer], maps[layer])
    loss += SMOOTHNESS * total_variation(changed)
    return sg.compile(loss, updates=sg.optim.AdaGrad(5.0).updates(loss, [changed])), changed


def as_bytes(x: Array) -> Array:
    """Return a picture as VGG16 sees it, (1, 3, H, W), as red, green and blue (H, W, 3)."""
    pixels: Array = np.clip(x[0].transpose(1, 2, 0) + MEAN_BGR, 0, 255).astype("uint8")
    return pixels[:, :, ::-1]


def main(arguments: list[str] | None = None) -> None:
    """Change the picture, print the loss before and after, and draw."""
    parser = argparse.ArgumentParser(description="Carry the style of a picture to another.")
    parser.add_argument("--steps", type=int, default=100, help="changes of the picture")
    parser.add_argument("--size", type=int, default=96, help="height and width of the pictures")
    parser.add_argument("--weights", help="file of weights of VGG16; random ones without it")
    options = parser.parse_args(arguments)
    photograph, waves = pictures(options.size)
    content, style = (sg.models.VGG16.preprocess(p, size=None)[None] for p in (photograph, waves))
    step, changed = build(content, style, options.weights)
    losses = [float(step()) for _ in tqdm(range(options.steps), unit="step")]
    print(f"loss at first {losses[0]:.4g}, at last {losses[-1]:.4g}")
    shown = {"content": photograph, "style": waves, "both": as_bytes(changed.value)}
    with picture("style_transfer.png", columns=3) as panels:
        for axes, (title, pixels) in zip(panels, shown.items(), strict=True):
            axes.imshow(pixels)
            axes.set_title(title)
            axes.set_axis_off()


if __name__ == "__main__":
    main()
