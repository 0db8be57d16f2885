"""Tensors of rank 0 to 5: shapes are known, and checked, before there is any data.

python examples/ranks.py
"""

from __future__ import annotations

import tracemalloc

import symgraph as sg

Shape = tuple[int | str, ...]
KINDS: dict[str, Shape] = {
    "a number": (),
    "a vector of 5": (5,),
    "a matrix": (3, 5),
    "rows of a table": ("samples", 3),
    "time series": (250, 390, 3),
    "colour images": ("samples", 256, 256, 3),
    "videos": (4, 240, 144, 256, 3),
}


def declared() -> dict[str, sg.Placeholder]:
    """Return a placeholder for each kind of data; extents with a name are open until a call."""
    return {
        kind: sg.Placeholder(f"x{number}", shape, "float32")
        for number, (kind, shape) in enumerate(KINDS.items())
    }


def parts(images: sg.Node) -> dict[str, sg.Node]:
    """Return parts and rearrangements of a stack of images (60000, 28, 28)."""
    return {
        "images[10:100]": images[10:100],
        "images[10:100, :, :]": images[10:100, :, :],
        "images[10:100, 0:28, 0:28]": images[10:100, 0:28, 0:28],
        "images[:, :14, :14]": images[:, :14, :14],
        "images[:, 7:-7, 7:-7]": images[:, 7:-7, 7:-7],
        "images[128:256]": images[128:256],
        "images.reshape(60000, 784)": images.reshape(60000, 784),
    }


def mean_frame(shape: Shape) -> sg.Function:
    """Compile the mean over the frames of videos (video, frame, height, width, colour)."""
    video = sg.Placeholder("video", shape, "float32")
    return sg.compile((video / 255.0).mean(axis=1))


def bytes_to_compile() -> int:
    """Return the memory that compiling for 405 MB of videos takes, once the compiler is loaded."""
    mean_frame((1, 2, 2, 2, 3))  # the same kernels: they do not depend on extents
    tracemalloc.start()
    mean_frame(KINDS["videos"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def main() -> None:
    """Print ranks, shapes and sizes; nothing is ever fed."""
    for kind, x in declared().items():
        print(f"rank {x.ndim}  {kind:16} {x.shape}")
    videos = declared()["videos"]
    print(f"the videos have {videos.size} numbers: {4 * videos.size / 2**20:.0f} MB as float32")
    for text, part in parts(sg.Placeholder("images", (60000, 28, 28), "float32")).items():
        print(f"{text:28} {part.shape}")
    small = bytes_to_compile() < 1_000_000
    print(f"compiling for them takes {'less than 1 MB' if small else 'too much'}")


if __name__ == "__main__":
    main()
