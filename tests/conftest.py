"""Keeps all tests, and the processes they start, away from the user's cache."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMGRAPH_CACHE_DIR", str(tmp_path_factory.mktemp("kernels") / "cache"))
        yield
