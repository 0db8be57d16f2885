"""What the kernels of a plan for a GPU are: CUDA C with a rule for its launch, or a host-made call.

An argument word is an int64, as on the CPU: an address, an extent or a stride. A kernel takes its
words by value, and one more: the guard, behind the commit point the address of the status word. A
run that has failed then writes nothing, without the host having to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

MOST_BLOCKS = (1 << 31) - 1
"""The largest grid along x."""


class Launch(NamedTuple):
    """How a kernel is started.

    Args:
        grid: blocks along x, y and z; none are started if one is 0.
        block: threads of a block along x, y and z.
        shared: bytes of dynamic shared memory.
    """

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int = 0


LaunchRule = Callable[[Sequence[int]], Launch]


@dataclass(frozen=True, eq=False)
class CudaKernel:
    """One kernel in CUDA C.

    Args:
        key_text: canonical description; kernels with equal texts must be equal.
        name: its entry point, which is unique.
        code: the entry point, and helpers whose names derive from it.
        words: how many argument words it takes.
        launch: its grid and blocks, from its argument words and nothing else.
    """

    key_text: str
    name: str
    code: str
    words: int
    launch: LaunchRule

    @property
    def listing(self) -> str:
        """Return the readable form that users are shown."""
        return self.code


@dataclass(frozen=True, eq=False)
class CudaCall:
    """What the host does for one instruction: library calls, or several kernels in a loop.

    Args:
        key_text: canonical description; calls with equal texts must be equal.
        name: which of the runtime's calls.
        options: what it is given besides its argument words.
        listing: the readable form that users are shown.
        kernels: the kernels it starts.
    """

    key_text: str
    name: str
    options: Mapping[str, Any]
    listing: str
    kernels: tuple[CudaKernel, ...] = ()


def cuda_kernel(
    key_text: str,
    body: str,
    words: int,
    launch: LaunchRule,
    helpers: str = "",
    threads: int = 0,
) -> CudaKernel:
    """Return a kernel with this body.

    Args:
        key_text: canonical description.
        body: statements; the argument words are `a0`, `a1`, ...
        words: how many argument words there are.
        launch: its grid and blocks.
        helpers: functions that the body calls; `KERNEL` in their names, and in the body, stands for
            the name of the entry point.
        threads: the most that a block ever has, which bounds the registers of each; 0 for any.
    """
    bound = f"__launch_bounds__({threads}) " if threads else ""
    name = "k_" + sha256((bound + helpers + body).encode()).hexdigest()[:20]
    parameters = "".join(f"long long a{number}, " for number in range(words))
    text = f"""\
{helpers}
extern "C" __global__ void {bound}{name}({parameters}long long guard)
{{
    if (stopped(guard)) return;
{body}
}}
"""
    return CudaKernel(key_text, name, text.replace("KERNEL", name).lstrip(), words, launch)


def blocks_for(tasks: int, threads: int) -> int:
    """Return how many blocks of so many threads have one thread for each task, at most."""
    return min(-(-tasks // threads), MOST_BLOCKS)
