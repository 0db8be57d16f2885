"""The command line of the suite: `python -m benchmarks run | growth | page | cases | ...`.

`run` times the workloads, each peer in processes of its own, and writes the page of results;
`growth` times larger and larger ones; `page` writes the page again from the records. `cases` times
small cases in one process, `overhead` and `startup` single calls and fresh processes.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from benchmarks.machine import available_cores, describe_machine, restart_evenly

_ROUNDS = {"cases": 30, "overhead": 50, "startup": 7}


def main(arguments: list[str]) -> int:
    """Run the command that the arguments name.

    Args:
        arguments: The command line after `python -m benchmarks`.

    Returns:
        The status of the process: 2 where a GPU was asked for and there is none.
    """
    options = _parser().parse_args(arguments)
    restart_evenly(arguments, options.threads)
    machine = describe_machine(options.threads)
    # Imported here: these load NumPy, which must not start with threads of its own choice.
    from benchmarks.report import machine_text

    print(machine_text(machine), end="\n\n", flush=True)
    if options.command == "run" and options.device != "cpu":
        # Nothing else is: the machine of a GPU need not have what the CPU's suite takes.
        from benchmarks.cuda.command import run_on_device

        return run_on_device(options, machine)
    if options.command in ("run", "growth", "page"):
        return _run_suite(options, machine)
    from benchmarks import commands

    options.repeats = options.repeats or _ROUNDS[options.command]
    if options.command == "cases":
        commands.run_cases(options, machine)
    elif options.command == "overhead":
        commands.run_overhead(options, machine)
    else:
        commands.run_startup(options, machine)
    return 0


def _run_suite(options: argparse.Namespace, machine: dict[str, object]) -> int:
    from benchmarks.suite import command

    if options.command == "growth":
        return command.run_growth(options, machine)
    if options.command == "page":
        return command.run_page(options, machine)
    options.workloads = options.workloads or options.only
    return command.run_suite(options, machine)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="time the workloads, a process for each peer")
    run.add_argument("--workloads", nargs="+", metavar="NAME", help="all where this is left out")
    run.add_argument("--peers", nargs="+", metavar="NAME", help="all that are installed otherwise")
    run.add_argument("--only", metavar="NAME", action="append", help="a row (may be repeated)")
    run.add_argument("--quick", action="store_true", help="some rows, in under three minutes")
    run.add_argument("--plain", action="store_true", help="no second pass with memory kept")
    run.add_argument("--device", type=_device, default="cpu", help="cpu, cuda, cuda:1, ...")
    _add_options_of_a_gpu(run.add_argument_group("on a GPU"))
    growth = commands.add_parser("growth", help="larger and larger batches and sequences")
    growth.add_argument("--peers", nargs="+", metavar="NAME", help="some peers instead of most")
    page = commands.add_parser("page", help="write the page of results from the records")
    cases = commands.add_parser("cases", help="time small cases, every peer in one process")
    cases.add_argument("--only", metavar="NAME", action="append", help="a case (may be repeated)")
    cases.set_defaults(device="cpu")
    for command in (run, growth, cases):
        command.add_argument("--png", type=Path, help="where to draw the chart")
    overhead = commands.add_parser("overhead", help="the cost of a call and of an instruction")
    startup = commands.add_parser("startup", help="fresh processes, cold and warm")
    startup.add_argument(
        "--tasks",
        nargs="+",
        choices=["first_result", "compile_length"],
        help="what to time; both where this is left out",
    )
    for command in (run, growth, page, cases, overhead, startup):
        command.add_argument("--repeat", "--repeats", dest="repeats", type=_positive, help="rounds")
        command.add_argument("--threads", type=_positive, default=available_cores())
        command.add_argument("--json", type=Path, help="where to write the record")
    return parser


def _add_options_of_a_gpu(run: argparse._ArgumentGroup) -> None:
    run.add_argument("--seconds", type=_positive, help="when to begin no further peer")
    run.add_argument("--page", type=Path, help="where to write the page of results")
    run.add_argument(
        "--unmeasured",
        nargs="?",
        const="",
        metavar="REASON",
        help="measure nothing: write the page with every row as unmeasured",
    )


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text} is neither cpu nor cuda nor cuda:1 and so on")
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
