"""Where a plan needs the host to look at data and decide how to go on."""

from __future__ import annotations

from symgraph.runtime.plan import Opcode, Plan


def host_decisions(plan: Plan) -> tuple[int, ...]:
    """Return the instructions that jump by what is in device memory, in order.

    A plan that has none is the same sequence of kernels at each call, and can be recorded as a
    graph. One that has some is walked by the host, which waits for the device at each of them.
    """
    return tuple(
        number
        for number, row in enumerate(plan.instructions)
        if row.opcode is Opcode.JUMP_IF_FALSE or (row.opcode is Opcode.LOOP and row.arguments)
    )
