"""Files in a directory that only we can write to.

Every function takes the descriptor of an opened directory whose ownership was checked on that
descriptor, so that nobody can swap the directory between the check and the use.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_TOUCH_AFTER_SECONDS = 3600.0

_serial = itertools.count()


class UntrustedDirectoryError(Exception):
    """Says why a directory is not used."""


def open_directory(target: str, create: bool) -> int:
    """Opens a directory and checks that only we can write to it.

    Args:
        target: its path.
        create: make it, with its parents, if it is absent.

    Returns:
        A descriptor, to be closed by the caller.

    Raises:
        UntrustedDirectoryError: a link, not a directory, not ours, or writable by others.
        OSError: it cannot be opened or made.
    """
    flags = _READ_FLAGS | os.O_DIRECTORY
    try:
        handle = os.open(target, flags)
    except FileNotFoundError:
        if not create:
            raise
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(target, mode=0o700)
        handle = os.open(target, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UntrustedDirectoryError("it is a symbolic link or not a directory") from error
        raise
    status = os.fstat(handle)
    reason = None
    if status.st_uid != os.geteuid():
        reason = "it belongs to another user"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason = "others may write to it"
    if reason is not None:
        os.close(handle)
        raise UntrustedDirectoryError(reason)
    return handle


def read_file(name: str, directory: int, limit: int) -> bytes:
    """Reads a regular file of ours and marks it as used.

    Args:
        name: file name.
        directory: descriptor of the directory.
        limit: largest size accepted.

    Returns:
        The contents.

    Raises:
        OSError: absent, a link, not regular, not ours, or too large.
    """
    handle = os.open(name, _READ_FLAGS, dir_fd=directory)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "not a regular file of ours")
        if status.st_size > limit:
            raise OSError(errno.EFBIG, "too large")
        if time.time() - status.st_mtime > _TOUCH_AFTER_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(handle)
        # A regular file gives all it has in one read, short of an interruption: then the checksum
        # makes it a miss.
        return os.read(handle, status.st_size + 1)
    finally:
        os.close(handle)


def replace_file(name: str, data: bytes, directory: int) -> None:
    """Writes a file so that others see all of it or what was there before.

    Args:
        name: file name.
        data: the contents.
        directory: descriptor of the directory.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = f"{name}.{os.getpid()}.{next(_serial)}.tmp"
    handle = os.open(temporary, _CREATE_FLAGS, 0o600, dir_fd=directory)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except IsADirectoryError:
            os.rmdir(name, dir_fd=directory)
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
