"""Lets tests import `tests.*` and the packages from a checkout that is not installed."""

import gc
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.long import LONG, examples, is_spared

# The workers fill the cores; threads of a library only wait for one another there, and spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The workers read the same tests, and hundreds of processes are started: each module is compiled
# once, also where compiled files are not wanted otherwise: to collect the tests takes half as long.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example or its making takes says nothing on a machine that runs the suite on all its
# cores. The same code gives the same result: EXPLORE=1 tries other examples, as `make fuzz` does.
settings.register_profile(
    "kerbstone",
    deadline=None,
    max_examples=examples(100),
    derandomize=not os.environ.get("EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kerbstone")

# A shell that starts us in the background has SIGINT ignored, and so would all whom we start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# These need ten seconds and more each, most of it waiting for what happens in real time: they are
# run by `make scenes`, and the fast suite stays fast.
SCENES: Final = frozenset({
    "crash/test_damage_start.py",
    "faults/test_card.py",
    "faults/test_certificates.py",
    "faults/test_process.py",
    "oracle/test_oracle.py",
    "system/test_bad_input.py",
    "system/test_catalogue_site.py",
    "system/test_clock_steps.py",
    "system/test_hung_bus.py",
    "system/test_last_good.py",
    "system/test_outage.py",
    "system/test_self_observation.py",
    "system/test_values.py",
})  # fmt: skip


# These take ten seconds and more, most of it one after the other: begun last, one worker would be
# at it while the others have nothing left.
FIRST: Final = (
    "models/test_training_smoke.py",
    "cli/test_demo.py",
    "system/test_one_owner.py",
    "gateway/test_common_faults.py",
    "infer/test_judge_kills.py",
    "platform/test_subscription.py",
    "uplink/test_connection_loss.py",
    "system/test_read.py",
    "crash/test_damage_words.py",
    "identity/test_killed_by_signal.py",
    "hostile/test_gateway.py",
    "gateway/test_recover.py",
    "outbox/test_outboxstats_forecast.py",
    "uplink/test_refusals_brokerprobe.py",
    "mutants/test_mutants.py",
    "models/test_anomaly.py",
    "platform/test_collector.py",
    "link/test_linkwatch.py",
    "week/test_week.py",
    "system/test_config_transaction.py",
    "rig/test_simlayer.py",
    "rig/test_pytestplugin.py",
    "rig/test_library.py",
    "rig/test_traces.py",
    "cli/test_sim_site.py",
    "gateway/test_flightrecorder.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing of what is made here is garbage soon, and to look for it takes long."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = f"{Path(__file__).parent / 'tests'}/"
    rank = {tests + name: place for place, name in enumerate(FIRST)}
    scenes = {tests + name for name in SCENES}
    paths = {item: str(item.path) for item in items}
    places: dict[str, int] = {}  # of the case that was met last
    for item, path in paths.items():
        if path in scenes:
            item.add_marker(pytest.mark.scene)
        if LONG and is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.long)  # with all of its examples
        if (sparse := item.get_closest_marker("one_in")) is not None:
            test = item.nodeid.partition("[")[0]
            place = places[test] = places.get(test, -1) + 1
            if LONG or is_spared(place, *sparse.args):
                item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: rank.get(paths[item], len(rank)))
