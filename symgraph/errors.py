"""Every error that symgraph raises on purpose, as one tree.

Messages say what is wrong, the operands with their symbolic shapes, the user's `file:line` where
the node was made, and what would fix it.
"""

from __future__ import annotations


class SymGraphError(Exception):
    """Base of all errors raised by symgraph."""


class GraphError(SymGraphError, TypeError):
    """Raise when a graph is built or used in a way that has no meaning (such as `if node:`)."""


class ShapeError(SymGraphError, ValueError):
    """Raise when shapes do not fit an operation."""


class DTypeError(SymGraphError, TypeError):
    """Raise when a dtype is unsupported or does not fit an operation."""


class FeedError(SymGraphError, ValueError):
    """Raise when the arrays fed to a compiled function do not match its placeholders."""


class BoundsError(SymGraphError, IndexError):
    """Raise when an index or a label read at run time lies outside its axis."""


class GradientError(SymGraphError, ValueError):
    """Raise when a derivative is asked for that does not exist."""


class CompileError(SymGraphError, RuntimeError):
    """Raise when the compiler itself fails; `details` holds the back end's own text."""

    def __init__(self, message: str, details: str = "") -> None:
        """Keep `message` for the user and `details` for a bug report."""
        super().__init__(message)
        self.details = details


class NonFiniteError(SymGraphError, FloatingPointError):
    """Raise when `check_finite=True` finds a NaN or an infinity."""


class DeviceError(SymGraphError, RuntimeError):
    """Raise when a device is asked for that is not there or cannot run the plan."""


class DeviceMemoryError(DeviceError):
    """Raise when a device has too little memory for a plan; no parameter was changed."""


class CheckpointError(SymGraphError, ValueError):
    """Raise when saved weights do not match the parameters they are loaded into."""


class MissingCheckpointError(CheckpointError, FileNotFoundError):
    """Raise when the file to load from, or the folder to save in, is not there."""


class DataError(SymGraphError, ValueError):
    """Raise when a data set cannot be read, or its arrays do not belong together."""


class MissingDataError(DataError, FileNotFoundError):
    """Raise when a file or folder of data is not where it was said to be."""


class DownloadError(DataError):
    """Raise when a file cannot be fetched whole: no network, a bad answer, a wrong checksum."""


class MissingPackageError(SymGraphError, ImportError):
    """Raise when something needs a package that only an extra of symgraph installs."""
