"""Where the files of a data set come from: a folder, a server, or the place they are kept."""

from __future__ import annotations

from pathlib import Path

from symgraph.data.download import get_file, is_url
from symgraph.errors import MissingDataError
from symgraph.location import user_location

Source = str | Path | None


def missing(what: object) -> MissingDataError:
    """Return the error that says that a file is not there."""
    return MissingDataError(f"there is no {what}\n  at {user_location()}")


def find_in(source: Source, name: str, official: str, digest: str | None) -> Path:
    """Return the path of a file that is one of several of a data set.

    Args:
        source: a folder that holds it; the address of a folder on a server; or None for the
            official place.
        name: what the file is called there.
        official: the address of the official folder.
        digest: checksum of the official file.

    Raises:
        DownloadError: it could not be fetched.
        MissingDataError: the folder does not hold it.
    """
    if source is None:
        return get_file(official.rstrip("/") + "/" + name, name, digest=digest)
    if is_url(source):
        return get_file(str(source).rstrip("/") + "/" + name, name)
    path = Path(source) / name
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    for candidate in (path, plain):
        if candidate.is_file():
            return candidate
    raise missing(f"{name} in {source}")


def find_file(source: Source, official: str, digest: str | None) -> Path:
    """Return the path of the one file of a data set.

    Args:
        source: its path or its address; None for the official one.
        official: its official address.
        digest: checksum of the official file.

    Raises:
        DownloadError: it could not be fetched.
        MissingDataError: there is no such file.
    """
    if source is None:
        return get_file(official, digest=digest)
    if is_url(source):
        return get_file(str(source))
    path = Path(source)
    if not path.exists():
        raise missing(path)
    return path
