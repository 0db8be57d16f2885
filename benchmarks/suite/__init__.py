"""The CPU suite: the same workloads in every framework that is installed, a process for each.

`workloads` says what is timed, `peers` who runs it, `with_*` how each of them does; `worker` is the
process of one peer and one workload, `process` the suite's end of it, `measure` what is asked of
the processes, `page`, `tables` and `charts` what becomes of the answers.
"""
