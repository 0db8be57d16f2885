"""Fetching files once and keeping them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from symgraph.errors import DataError, DownloadError
from symgraph.location import user_location
from symgraph.serialise.atomic import write_atomically

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT_SECONDS = 30.0
_CHUNK = 1 << 18
_DIGEST_DIGITS = {"sha256": 64, "md5": 32}


def cache_dir() -> Path:
    """Return the folder where fetched files are kept.

    It is `$SYMGRAPH_DATA_DIR`, or `symgraph-data` in the user's cache folder.
    """
    chosen = os.environ.get("SYMGRAPH_DATA_DIR")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "symgraph-data"


def is_url(source: Any) -> bool:
    """Return whether `source` is the address of something on a server and not a path.

    Raises:
        DataError: it is an address of a kind that is not fetched.
    """
    if not isinstance(source, str) or "://" not in source:
        return False
    scheme = source.partition("://")[0].lower()
    if scheme not in {"http", "https"}:
        raise DataError(f"{source!r} is neither a path nor an address with http:// or https://")
    return True


def get_file(
    url: str,
    name: str | None = None,
    *,
    digest: str | None = None,
    folder: str | Path | None = None,
    progress: bool | None = None,
) -> Path:
    """Fetch a file, or find the one that was fetched before.

    The file appears under its name when all of it is on the disk and its checksum is right; a
    failure or Ctrl-C leaves nothing behind. Files of different addresses never share a name.

    Args:
        url: where it is, http:// or https://.
        name: what to call it; None for its name in `url`.
        digest: its SHA-256 (64 hexadecimal digits) or MD5 (32 digits). A file that was kept and
            has another checksum is fetched again.
        folder: where to keep it, under exactly `name`; None for a folder of `cache_dir()`.
        progress: show a bar; None for where standard error is a terminal.

    Returns:
        The path of the file.

    Raises:
        DownloadError: it could not be fetched, is shorter than announced, or has another checksum.
        DataError: the address, the name or the digest has no meaning.
        OSError: it cannot be written.

    Example:
        >>> path = sg.data.get_file("https://example.org/corpus.txt", digest="86c4...")
    """
    if not is_url(url):
        raise DataError(
            f"an address with http:// or https:// is needed, not {url!r}; a file that is here "
            f"already needs no fetching\n  at {user_location()}"
        )
    expected = None if digest is None else _parsed_digest(digest)
    path = _place(url, name, folder)
    if path.is_file() and (expected is None or _digest_of(path, expected[0]) == expected[1]):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda target: _fetch(url, target, path, expected, progress))
    return path


def show_progress(name: str, total: int | None, progress: bool | None = None) -> Any:
    """Return a progress bar that counts bytes, to be used in a `with` statement.

    Args:
        name: what it says in front.
        total: how many bytes there are, None where that is not known.
        progress: show it; None for where standard error is a terminal.

    Example:
        >>> with show_progress("corpus.txt", 1000) as bar:
        ...     bar.update(250)
    """
    from tqdm import tqdm

    disabled = None if progress is None else not progress
    return tqdm(
        total=total, desc=name, unit="B", unit_scale=True, unit_divisor=1024, disable=disabled
    )


def _parsed_digest(digest: str) -> tuple[str, str]:
    """Return the algorithm and the digits in lower case."""
    digits = digest.strip().lower() if isinstance(digest, str) else ""
    for algorithm, count in _DIGEST_DIGITS.items():
        if len(digits) == count and set(digits) <= set("0123456789abcdef"):
            return algorithm, digits
    raise DataError(f"a digest has 64 (SHA-256) or 32 (MD5) hexadecimal digits; got {digest!r}")


def _digest_of(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: _hasher(algorithm)).hexdigest()


def _hasher(algorithm: str) -> Any:
    # Not for secrecy: some systems refuse MD5 unless told so.
    return hashlib.new(algorithm, usedforsecurity=False)


def _place(url: str, name: str | None, folder: str | Path | None) -> Path:
    if name is None:
        # A query often names the file only on the server's side.
        name = unquote(urlsplit(url).path).rpartition("/")[2]
    if name in {"", ".", ".."} or any(letter in name for letter in "/\\\0"):
        raise DataError(f"{name!r} is no name for a file; give one for {url!r}")
    if folder is not None:
        return Path(folder).absolute() / name
    # Two servers may both have a `train.gz`.
    return cache_dir() / hashlib.sha256(url.encode()).hexdigest()[:16] / name


def _fetch(
    url: str, target: Path, path: Path, expected: tuple[str, str] | None, progress: bool | None
) -> None:
    """Write what `url` holds to `target`, and check how much it is and its digest."""
    hasher = _hasher(expected[0] if expected else "sha256")
    received = 0
    with target.open("wb") as file, _open(url, path) as response:
        total = response.length
        with show_progress(path.name, total, progress) as bar:
            for chunk in _chunks(response, url, path):
                file.write(chunk)
                hasher.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
    if total is not None and received != total:
        raise DownloadError(f"{url} broke off after {received} of {total} bytes")
    if expected is not None and hasher.hexdigest() != expected[1]:
        raise DownloadError(
            f"{url} has the {expected[0]} {hasher.hexdigest()}, but {expected[1]} was expected: "
            "it is damaged, or another version took its place"
        )


def _open(url: str, path: Path) -> HTTPResponse:
    from urllib.request import Request, urlopen

    with _reporting(url, path):
        request = Request(url, headers={"User-Agent": "symgraph"})
        response: HTTPResponse = urlopen(request, timeout=TIMEOUT_SECONDS)
        return response


def _chunks(response: HTTPResponse, url: str, path: Path) -> Iterator[bytes]:
    while True:
        # Only reading is watched: a full disk must not be reported as a bad network.
        with _reporting(url, path):
            chunk = response.read(_CHUNK)
        if not chunk:
            return
        yield chunk


@contextlib.contextmanager
def _reporting(url: str, path: Path) -> Iterator[None]:
    """Turn what goes wrong on the way to a server into an error that says how to do without."""
    from http.client import HTTPException
    from urllib.error import HTTPError

    try:
        yield
    except HTTPError as error:
        reason = f"the server answered {error.code} {error.reason}"
        error.close()
    except (OSError, HTTPException) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
    else:
        return
    raise DownloadError(
        f"{url} could not be fetched: {reason}. Without a network, put the file at {path}"
    ) from None
