"""The command line of the suite: `python -m benchmarks run | overhead | startup`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.machine import available_cores, describe_machine, restart_evenly


def main(arguments: list[str]) -> None:
    """Run the command that the arguments name.

    Args:
        arguments: The command line after `python -m benchmarks`.
    """
    options = _parser().parse_args(arguments)
    restart_evenly(arguments, options.threads)
    machine = describe_machine(options.threads)
    # Imported here: these load NumPy, which must not start with threads of its own choice.
    from benchmarks import commands
    from benchmarks.report import machine_text

    print(machine_text(machine), end="\n\n")
    if options.command == "run":
        commands.run_cases(options, machine)
    elif options.command == "overhead":
        commands.run_overhead(options, machine)
    else:
        commands.run_startup(options, machine)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="time the cases, every peer in turn")
    run.add_argument("--only", metavar="NAME", action="append", help="a case (may be repeated)")
    run.add_argument("--png", type=Path, help="where to draw the chart")
    run.add_argument("--device", choices=["cpu"], default="cpu", help="where the cases run")
    overhead = commands.add_parser("overhead", help="the cost of a call and of an instruction")
    startup = commands.add_parser("startup", help="fresh processes, cold and warm")
    startup.add_argument(
        "--tasks",
        nargs="+",
        choices=["first_result", "compile_length"],
        help="what to time; both where this is left out",
    )
    for command, repeats in ((run, 30), (overhead, 50), (startup, 7)):
        command.add_argument("--repeats", type=_positive, default=repeats, help="rounds")
        command.add_argument("--threads", type=_positive, default=available_cores())
        command.add_argument("--json", type=Path, help="where to write the record")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


if __name__ == "__main__":
    main(sys.argv[1:])
