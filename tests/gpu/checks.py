"""The checks that run on a device and in emulation alike."""

from tests.gpu import calls, states

CHECKS = (
    calls.check_feeds,
    calls.check_refused_feeds,
    calls.check_results,
    calls.check_streams,
    calls.check_threads,
    calls.check_loader,
    calls.check_other_device,
    calls.check_missing_device,
    calls.check_dropped_function,
    calls.check_replayed_step,
    calls.check_failed_run,
    calls.check_extents,
    states.check_out_of_memory,
    states.check_parameters_move,
    states.check_fork,
    states.check_control,
    states.check_precision,
    states.check_random_numbers,
)
"""Each takes the device to run on."""


def name_of(check):
    """Return what a test report calls a check."""
    return check.__name__.removeprefix("check_")
