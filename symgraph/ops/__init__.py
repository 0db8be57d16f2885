"""The operations of the graph language, one record each; see `symgraph.op` for what a record holds.

Modules here import the language (node, types, leaves) and `symgraph.scalar`, and each other only
from the elementary to the composed. Importing a module enters its ops into the registry.
"""
