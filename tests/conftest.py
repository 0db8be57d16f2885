"""Keeps all tests, and the processes they start, away from the user's cache."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Test processes share what they compile: their folders lie in one of the whole run.
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMGRAPH_CACHE_DIR", str(folder / "kernels" / "cache"))
        yield
