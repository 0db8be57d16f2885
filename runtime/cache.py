"""Keeps object code on disk, one content-addressed file per native function.

An entry is never trusted: its header names the key that it belongs to, a SHA-256 trailer covers
every byte, and whatever does not fit is a miss. The directory must be ours alone, or there is no
disk cache. Nothing here raises to the user, and nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from symgraph.runtime import host
from symgraph.runtime.private_directory import (
    UntrustedDirectoryError,
    open_directory,
    read_file,
    replace_file,
)

FORMAT = 1
DEFAULT_MEGABYTES = 256

_MAGIC = b"SYMGRAPH"
_HEADER = struct.Struct("<8sI32sI")
_DIGEST_BYTES = 32
_LARGEST_ENTRY = 1 << 26
_SUFFIX = ".kernel"


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds one cached function: the symbol to look up and its object code."""

    symbol: str
    code: bytes


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Says what the disk cache did in this process and what it holds.

    Attributes:
        directory: where entries live.
        enabled: False when switched off or when the directory is not to be trusted.
        entries: number of files.
        size: their bytes.
        hits: entries read.
        stores: entries written.
        misses: reason -> count.
    """

    directory: str
    enabled: bool
    entries: int
    size: int
    hits: int
    stores: int
    misses: dict[str, int]


_hits = 0
_stores = 0
_misses: Counter[str] = Counter()
_warned: set[str] = set()
_known_size: dict[str, int] = {}


def path() -> str:
    """Returns the directory in which entries are kept."""
    chosen = os.environ.get("SYMGRAPH_CACHE_DIR")
    if chosen:
        return os.path.abspath(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(os.path.abspath(base), "symgraph")


def load(key_text: str) -> Entry | None:
    """Reads the entry of a function.

    Args:
        key_text: canonical description of the function.

    Returns:
        The entry, or None when it is absent or damaged in any way.
    """
    global _hits
    digest = _digest(key_text)
    with _directory(create=False) as directory:
        if directory is None:
            return None
        try:
            data = read_file(digest.hex() + _SUFFIX, directory, _LARGEST_ENTRY)
        except OSError as error:
            count_miss("absent" if error.errno == errno.ENOENT else _errno_name(error))
            return None
    entry, reason = _decode(data, digest)
    if entry is None:
        count_miss(reason)
        return None
    _hits += 1
    return entry


def store(key_text: str, symbol: str, code: bytes) -> None:
    """Writes an entry; a full disk or a read-only directory only counts as a reason.

    Args:
        key_text: canonical description of the function.
        symbol: name of its entry point.
        code: its object code.
    """
    global _stores
    digest = _digest(key_text)
    name = digest.hex() + _SUFFIX
    data = _encode(digest, symbol, code)
    with _directory(create=True) as directory:
        if directory is None:
            return
        try:
            replace_file(name, data, directory)
        except OSError as error:
            count_miss("not stored: " + _errno_name(error))
            return
        _stores += 1
        with contextlib.suppress(OSError):
            _bound_size(directory, len(data))


def clear() -> None:
    """Removes every entry."""
    with _directory(create=False) as directory:
        if directory is None:
            return
        for name in os.listdir(directory):
            if name.endswith((_SUFFIX, ".tmp")):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=directory)
    _known_size.clear()


def stats() -> CacheStatistics:
    """Returns counters of this process and the contents of the directory."""
    with _directory(create=False) as directory:
        files = [] if directory is None else _list_entries(directory)
        enabled = directory is not None or (_is_enabled() and not os.path.lexists(path()))
    size = sum(entry[1] for entry in files)
    return CacheStatistics(path(), enabled, len(files), size, _hits, _stores, dict(_misses))


def count_miss(reason: str) -> None:
    """Counts a miss under its reason."""
    _misses[reason] += 1


def _digest(key_text: str) -> bytes:
    head = f"{FORMAT}\n{host.fingerprint()}\n"
    return hashlib.sha256(head.encode() + key_text.encode("utf-8", "surrogatepass")).digest()


def _encode(digest: bytes, symbol: str, code: bytes) -> bytes:
    name = symbol.encode()
    body = _HEADER.pack(_MAGIC, FORMAT, digest, len(name)) + name + code
    return body + hashlib.sha256(body).digest()


def _decode(data: bytes, digest: bytes) -> tuple[Entry | None, str]:
    if len(data) < _HEADER.size + _DIGEST_BYTES:
        return None, "truncated"
    body = data[:-_DIGEST_BYTES]
    if hashlib.sha256(body).digest() != data[-_DIGEST_BYTES:]:
        return None, "checksum"
    magic, version, owner, length = _HEADER.unpack_from(body)
    if magic != _MAGIC or version != FORMAT:
        return None, "format"
    if owner != digest:
        return None, "another entry's contents"
    start = _HEADER.size + length
    return Entry(body[_HEADER.size : start].decode(), body[start:]), ""


def _is_enabled() -> bool:
    # Directory handles and ownership are POSIX notions: elsewhere nothing could be verified.
    return os.environ.get("SYMGRAPH_CACHE", "1") != "0" and hasattr(os, "geteuid")


@contextlib.contextmanager
def _directory(create: bool) -> Iterator[int | None]:
    """Opens the cache directory and checks the opened object itself, so no swap can slip in.

    It is reopened each time: a descriptor kept for long may be closed and reused by others.
    """
    handle = None
    if _is_enabled():
        target = path()
        try:
            handle = open_directory(target, create)
        except UntrustedDirectoryError as error:
            count_miss("untrusted directory")
            _warn_once(target, str(error))
        except OSError as error:
            missing = error.errno == errno.ENOENT and not create
            count_miss("absent" if missing else _errno_name(error))
            if not missing:
                _warn_once(target, error.strerror or str(error))
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _warn_once(target: str, reason: str) -> None:
    if target not in _warned:
        _warned.add(target)
        warnings.warn(
            f"kernels are not cached on disk: {target}: {reason}. "
            "Set SYMGRAPH_CACHE_DIR to a private directory, or SYMGRAPH_CACHE=0.",
            RuntimeWarning,
            stacklevel=2,
        )


def _list_entries(directory: int) -> list[tuple[float, int, str]]:
    files = []
    for name in os.listdir(directory):
        if name.endswith((_SUFFIX, ".tmp")):
            with contextlib.suppress(OSError):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                files.append((status.st_mtime, status.st_size, name))
    return files


def _bound_size(directory: int, added: int) -> None:
    """Removes the entries unused for longest once the directory outgrows its bound."""
    target, bound = path(), _size_bound()
    if target in _known_size and _known_size[target] + added <= bound:
        _known_size[target] += added
        return
    files = sorted(_list_entries(directory))
    total = sum(size for _, size, _ in files)
    # Leaving some room keeps the next stores from listing the directory again. The newest stays.
    for _, size, name in files[:-1] if total > bound else []:
        if total <= bound * 0.9:
            break
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)
            total -= size
    _known_size[target] = total


def _size_bound() -> float:
    try:
        return float(os.environ.get("SYMGRAPH_CACHE_SIZE", DEFAULT_MEGABYTES)) * 2**20
    except ValueError:
        return DEFAULT_MEGABYTES * 2.0**20


def _errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown")
