"""The compiler: from a graph of nodes to a plan.

Reading order: `specialise` (types), `expand` (few ops), `passes` (rewrites, loops), `fuse`
(kernels), `lower` (the plan); `autodiff` turns graphs into the graphs of their derivatives.
`codegen` writes native code. It may import the language (`symgraph.node`, `symgraph.ops`, ...) and,
of the runtime, the plan and the descriptions of library kernels.
"""
