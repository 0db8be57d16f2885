"""A variational autoencoder of handwritten digits: two numbers for each, and a map of all digits.

python examples/vae.py --epochs 15

The noise of the training step is drawn inside of it, anew at each call. Draws the map, and where
the digits lie on it, to examples/output/vae.png.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from plotting import picture
from tqdm import tqdm

import symgraph as sg
from symgraph.layers import Conv2d, Deconv2d, Flatten, Layer, Linear
from symgraph.models import Sequential

Array = np.ndarray[Any, Any]


class VAE(Layer):
    """Encoder and decoder for pictures (N, 1, side, side); side is even."""

    def __init__(self, side: int, latent: int = 2, seed: int = 0) -> None:
        """Make the layers."""
        half = side // 2
        self.encoder = Sequential(
            *(Conv2d(32, 3, 1, 1, seed=seed), sg.relu, Conv2d(64, 3, 2, 1, seed=seed + 1), sg.relu),
            *(Conv2d(64, 3, 1, 1, seed=seed + 2), sg.relu, Conv2d(64, 3, 1, 1, seed=seed + 3)),
            *(sg.relu, Flatten(), Linear(32, seed=seed + 4), sg.relu),
        )
        self.mean = Linear(latent, in_size=32, seed=seed + 5)
        self.log_variance = Linear(latent, in_size=32, seed=seed + 6)
        self.decoder = Sequential(
            *(Linear(64 * half * half, latent, seed=seed + 7), sg.relu),
            *(lambda x: x.reshape(-1, 64, half, half), Deconv2d(32, 4, 2, 1, seed=seed + 8)),
            *(sg.relu, Conv2d(1, 3, 1, 1, seed=seed + 9)),
        )

    def encode(self, x: sg.Node) -> tuple[sg.Node, sg.Node]:
        """Build mean and logarithm of the variance (N, latent) of what stands for each picture."""
        hidden = self.encoder(x)
        return self.mean(hidden), self.log_variance(hidden)

    def forward(self, x: sg.Node) -> sg.Node:
        """Build the loss: how badly pictures are restored, and how far codes are from normal."""
        mean, log_variance = self.encode(x)
        noise = sg.random.normal(mean.shape, dtype="float32", seed=0)
        logits = self.decoder(mean + sg.exp(0.5 * log_variance) * noise)
        restoring = sg.nn.sigmoid_cross_entropy(logits, x)
        return restoring + divergence(mean, log_variance)


def divergence(mean: sg.Node, log_variance: sg.Node) -> sg.Node:
    """Return the mean divergence of normal distributions (N, latent) from the standard one."""
    each = 0.5 * (mean**2 + sg.exp(log_variance) - log_variance - 1)
    return sg.mean(sg.sum(each, axis=1))


def train(epochs: int, side: int = 8) -> tuple[list[float], VAE, sg.Placeholder]:
    """Return the loss of each epoch, the model, and the placeholder of its pictures."""
    pictures = sg.data.digits()[0].reshape(-1, 1, side, side)
    x = sg.Placeholder("x", ("N", 1, side, side), "float32")
    model = VAE(side)
    loss = model(x)
    step = sg.compile(loss, updates=sg.optim.Adam(1e-3).updates(loss, model.parameters()))
    loader = sg.data.DataLoader(pictures, 16, rng=0)
    losses = []
    for _ in tqdm(range(epochs), unit="epoch"):
        losses.append(float(np.mean([step(x=batch) for batch in loader])))
    return losses, model, x


def draw(model: VAE, x: sg.Placeholder) -> None:
    """Draw what the decoder makes of a grid of codes, and the codes of all digits."""
    z = sg.Placeholder("z", ("N", 2), "float32")
    decode, encode = sg.compile(sg.sigmoid(model.decoder(z))), sg.compile(model.encode(x)[0])
    side = np.linspace(-1.8, 1.8, 10, dtype="float32")
    grid = np.stack(np.meshgrid(side, -side), axis=-1).reshape(-1, 2)
    framed = np.pad(decode(z=grid), ((0, 0), (0, 0), (1, 1), (1, 1)))
    decoded = framed.reshape(10, 10, 10, 10).transpose(0, 2, 1, 3).reshape(100, 100)
    images, labels = sg.data.digits()
    codes = encode(x=images.reshape(-1, 1, 8, 8))
    with picture("vae.png", columns=2, figsize=(11, 5)) as (left, right):
        left.imshow(decoded, cmap="gray_r", extent=(-2, 2, -2, 2))
        left.set(title="What the decoder makes of codes", xlabel="first", ylabel="second")
        points = right.scatter(*codes.T, c=labels, cmap="tab10", s=8, vmin=-0.5, vmax=9.5)
        right.figure.colorbar(points, ax=right, ticks=range(10), label="digit")
        right.set(title="Codes of the digits", xlabel="first", ylabel="second", aspect="equal")


def main(arguments: list[str] | None = None) -> None:
    """Train, print the loss of first and last epoch, and draw."""
    parser = argparse.ArgumentParser(description="Train a variational autoencoder on digits.")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the digits")
    losses, model, x = train(parser.parse_args(arguments).epochs)
    count = sum(parameter.size or 0 for parameter in model.parameters())
    print(f"{count} parameters")
    print(f"loss of the first epoch {losses[0]:.2f}, of the last {losses[-1]:.2f}")
    draw(model, x)


if __name__ == "__main__":
    main()
