"""What all tests share: a cache that is not the user's, and a Ctrl-C that works."""

import os
import signal
from importlib.util import find_spec

import pytest


def pytest_addoption(parser):
    """Take the setting of pytest-timeout where that is missing: machines with a GPU may be bare."""
    if find_spec("pytest_timeout") is None:
        parser.addini("timeout", "seconds after which pytest-timeout, if it is there, ends a test")


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Test processes share what they compile: their folders lie in one of the whole run.
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMGRAPH_CACHE_DIR", str(folder / "kernels" / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _control_c():
    # A shell that starts the tests in the background has them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
