"""Two networks compete: one invents handwritten digits, the other tells them from real ones.

python examples/gan.py --epochs 30

One compiled step trains both, and draws the noise that digits are invented from. Draws what the
generator invents, and how both fared, to examples/output/gan.png.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
from plotting import picture
from tqdm import tqdm

import symgraph as sg
from symgraph.layers import BatchNorm, Conv2d, Deconv2d, Flatten, Linear
from symgraph.models import Sequential

Array = np.ndarray[Any, Any]
NOISE = 62


class Networks(NamedTuple):
    """The competitors: noise (N, 62) to pictures (N, 1, side, side), and pictures to scores (N, 1).

    Scores are logits: positive for pictures that are taken for real.
    """

    generator: Sequential
    critic: Sequential


def networks(side: int, channels: int = 128, hidden: int = 1024) -> Networks:
    """Return both networks for pictures of a size that four divides."""
    start = (channels, side // 4, side // 4)
    small = sg.layers.initial.normal(0.02)
    options: dict[str, Any] = {"initial": small, "seed": np.random.default_rng(0)}
    generator = Sequential(
        *(Linear(hidden, **options), BatchNorm(), sg.relu),
        *(Linear(int(np.prod(start)), **options), BatchNorm(), sg.relu),
        *(lambda x: x.reshape(-1, *start), Deconv2d(channels // 2, 4, 2, 1, **options)),
        *(BatchNorm(), sg.relu, Deconv2d(1, 4, 2, 1, **options), sg.sigmoid),
    )
    critic = Sequential(
        *(Conv2d(channels // 2, 4, 2, 1, **options), sg.nn.leaky_relu),
        *(Conv2d(channels, 4, 2, 1, **options), BatchNorm(), sg.nn.leaky_relu),
        *(Flatten(), Linear(hidden, **options), BatchNorm(), sg.nn.leaky_relu),
        Linear(1, **options),
    )
    return Networks(generator, critic)


def build(side: int, both: Networks) -> tuple[sg.Function, sg.Function]:
    """Return the step that trains both networks, and the function from noise to pictures."""
    real = sg.Placeholder("real", ("N", 1, side, side), "float32")
    noise = sg.random.normal((real.shape[0], NOISE), seed=0)
    on_real, on_fake = both.critic(real), both.critic(both.generator(noise))
    ones, zeros = sg.ones_like(on_fake), sg.zeros_like(on_fake)
    score = sg.nn.sigmoid_cross_entropy
    critic_loss = score(on_real, ones) + score(on_fake, zeros)
    generator_loss = score(on_fake, ones)
    # Each loss is differentiated by the parameters of its own network: nothing has to be detached.
    updates = {
        **adam("critic").updates(critic_loss, both.critic.parameters()),
        **adam("generator").updates(generator_loss, both.generator.parameters()),
    }
    step = sg.compile((critic_loss, generator_loss), updates=updates)
    given = sg.Placeholder("noise", ("N", NOISE), "float32")
    with sg.test_mode():
        return step, sg.compile(both.generator(given))


def adam(name: str) -> sg.optim.Adam:
    """Return an optimiser with the rates that suit such networks."""
    return sg.optim.Adam(0.001, beta1=0.5, name=name)


def train(epochs: int) -> tuple[Array, sg.Function]:
    """Return both losses of each epoch (epochs, 2), and the function from noise to pictures."""
    pictures = sg.data.digits()[0].reshape(-1, 1, 8, 8)
    step, invent = build(8, networks(8, channels=64, hidden=256))
    loader = sg.data.DataLoader(pictures, 64, rng=0, drop_last=True)
    losses = []
    for _ in tqdm(range(epochs), unit="epoch"):
        losses.append(np.mean([step(real=batch) for batch in loader], axis=0))
    return np.array(losses), invent


def likeness(invented: Array) -> float:
    """Return the correlation of the mean invented picture with the mean digit."""
    means = sg.data.digits()[0].mean(axis=0), invented.reshape(-1, 64).mean(axis=0)
    return float(np.corrcoef(means)[0, 1])


def main(arguments: list[str] | None = None) -> None:
    """Train, print losses and how alike invented and real digits are on average, and draw."""
    parser = argparse.ArgumentParser(description="Train a generator of digits and its critic.")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the digits")
    losses, invent = train(parser.parse_args(arguments).epochs)
    noise = np.random.default_rng(0).standard_normal((500, NOISE), "float32")
    invented = invent(noise=noise)
    print(f"critic's loss {losses[-1, 0]:.3f}, generator's {losses[-1, 1]:.3f}")
    print(f"correlation of mean invented and mean real digit: {likeness(invented):.3f}")
    framed = np.pad(invented[:48, 0], ((0, 0), (1, 1), (1, 1)))
    with picture("gan.png", columns=2, figsize=(11, 4.2)) as (left, right):
        sheet = framed.reshape(6, 8, 10, 10).transpose(0, 2, 1, 3).reshape(60, 80)
        left.imshow(sheet, cmap="gray_r")
        left.set(title="Invented digits", xticks=[], yticks=[])
        for values, label in zip(losses.T, ("critic", "generator"), strict=True):
            right.plot(np.arange(1, len(values) + 1), values, label=label)
        right.set(title="Losses", xlabel="epoch")
        right.grid(alpha=0.3)
        right.legend()


if __name__ == "__main__":
    main()
