"""Writing files so that a reader, or a crash, meets the whole new file or the whole old one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file in the same folder, and put it in the place of `path`.

    The data reach the disk before the name does. Whatever goes wrong, Ctrl-C included, what was at
    `path` stays, and nothing is left beside it. A link at `path` is followed, not replaced.

    Args:
        path: the file to make or to replace.
        write: fills the file whose path it gets; that file exists and is empty.

    Raises:
        OSError: it cannot be written.

    Example:
        >>> write_atomically("notes.txt", lambda file: file.write_text("all or nothing"))
    """
    target = Path(os.path.realpath(path))
    # The name is cut, because one file name holds at most 255 bytes.
    own = target.name.encode()[:150].decode(errors="ignore")
    temporary = target.with_name(f".{own}.{secrets.token_hex(8)}.tmp")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = os.stat(temporary).st_mode
        write(temporary)
        # A library that makes the file anew gives it permissions of its own.
        os.chmod(temporary, mode)
        flush(temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    # The file is in place; a file system that cannot flush folders keeps its own order.
    with contextlib.suppress(OSError):
        flush(target.parent)


def flush(path: Path) -> None:
    """Wait until a file or a folder is on the disk.

    Raises:
        OSError: it cannot be opened or flushed.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
