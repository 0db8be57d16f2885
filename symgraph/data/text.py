"""Text as numbers: each character, and the one that follows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from symgraph.data.dataset import Dataset, TransformLike
from symgraph.data.source import Source, find_file
from symgraph.errors import DataError

TINY_SHAKESPEARE = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
TINY_SHAKESPEARE_DIGEST = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class Characters(Dataset):
    """A text, character by character: data is a character's number, label that of the next one.

    Numbers are given in the order in which characters first appear.

    Attributes:
        data: int64 (characters - 1,).
        label: int64 (characters - 1,).
        char_to_id: the number of each character.
        id_to_char: the character of each number.

    Args:
        text: the text, of two characters or more.
        transform: applied to each number.
        target_transform: applied to each following number.

    Raises:
        DataError: the text is shorter than two characters.

    Example:
        >>> hello = Characters("hello")
        >>> hello.data, hello.label, hello.id_to_char[2]
        (array([0, 1, 2, 2]), array([1, 2, 2, 3]), 'l')
    """

    char_to_id: dict[str, int]
    id_to_char: dict[int, str]

    def __init__(
        self,
        text: str,
        transform: TransformLike | None = None,
        target_transform: TransformLike | None = None,
    ) -> None:
        """Number the characters."""
        self.text = text
        super().__init__(True, transform, target_transform)

    def prepare(self) -> None:
        """Number the characters."""
        if not isinstance(self.text, str) or len(self.text) < 2:
            raise DataError("a text has at least two characters: one, and the one that follows")
        # Code points as an array, so that a million characters take no loop. Lone surrogates pass.
        points = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<u4")
        found, first, inverse = np.unique(points, return_index=True, return_inverse=True)
        order = np.argsort(first)
        numbers = np.empty(len(found), np.int64)
        numbers[order] = np.arange(len(found))
        ids = numbers[inverse.reshape(-1)]
        self.data, self.label = ids[:-1], ids[1:]
        self.id_to_char = {number: chr(found[at]) for number, at in enumerate(order)}
        self.char_to_id = {character: number for number, character in self.id_to_char.items()}


class Shakespeare(Characters):
    """Plays of Shakespeare, 1 115 394 characters of 65 kinds, character by character.

    Args:
        source: path or address of a text in UTF-8; None for "tiny Shakespeare", which is fetched
            once.
        transform: applied to each number.
        target_transform: applied to each following number.

    Raises:
        DownloadError: the text could not be fetched.
        DataError: there is no such file, or it is no UTF-8.

    Example:
        >>> plays = Shakespeare()
        >>> "".join(plays.id_to_char[int(i)] for i in plays.data[:5])
        'First'
    """

    def __init__(
        self,
        source: Source = None,
        transform: TransformLike | None = None,
        target_transform: TransformLike | None = None,
    ) -> None:
        """Read the text and number its characters."""
        path = find_file(source, TINY_SHAKESPEARE, TINY_SHAKESPEARE_DIGEST)
        super().__init__(_text_of(path), transform, target_transform)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error}") from None
