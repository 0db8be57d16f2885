"""The passes: pure functions from a graph to a graph, one module each.

`simplify` applies the rules of `passes.rules` to a fixpoint, folding constants and merging equal
nodes on the way; `fold` and `cse` do only that. All of them keep the values, NaN, the infinities
and the sign of zero included, but for the stable forms in `rules.stable`, whose values are better.
"""
