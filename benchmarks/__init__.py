"""The suite that times symgraph beside Define-by-Run frameworks: `python -m benchmarks`.

`cases` says what is timed, one record a case; `measure` times the peers of a case interleaved in
one run; `report` and `chart` write the results; `overhead`, `startup` and `compile_length` look at
single calls and at fresh processes. `define_by_run` is the peer that is always there. Only the
symgraph peers import symgraph, and only its public front.
"""
