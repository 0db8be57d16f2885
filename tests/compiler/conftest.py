"""Fixtures of the compiler's tests."""

import importlib
import pkgutil

import symgraph.ops

# Rules find ops by name in the registry, so all of them must be there.
for module in pkgutil.iter_modules(symgraph.ops.__path__):
    importlib.import_module(f"symgraph.ops.{module.name}")
