"""The numbers of calls, on which random numbers depend."""

from __future__ import annotations

from itertools import count


class CallCounter:
    """Numbers the calls of one function; two threads never get the same number.

    Attributes:
        following: the number that the next call gets.
    """

    __slots__ = ("_numbers", "following")

    def __init__(self) -> None:
        """Begin with 0."""
        self.restart(0)

    def take(self) -> int:
        """Return the number of a call that begins."""
        number = next(self._numbers)
        self.following = number + 1
        return number

    def restart(self, number: int) -> None:
        """Give the next call this number."""
        self._numbers = count(number)
        self.following = number
