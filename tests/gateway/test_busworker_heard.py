"""What a GPIO bus has proved to have heard is never ahead of an edge that nobody has taken."""

import time
from pathlib import Path

from drivers.sim.gpio import SimChip
from edge.acquire.clock import SystemClock
from edge.config import GpioBus
from edge.core import LineSpec
from edge.gateway.busworker import BEAT_NS
from edge.gateway.busworkers import BusWorkers
from edge.gateway.wiring import Wiring
from edge.health.progress import Progress
from tests.gateway.hung_bus import BusReadings, small_site
from tests.kit.waiting import until

STANDS_S = 3 * BEAT_NS / 1e9


async def test_while_the_main_loop_stands_nothing_is_proved_of_edges_that_wait_for_it(
    tmp_path: Path,
) -> None:
    """A mark of the stage says that all was listened to until then: a kill would believe it."""
    site = small_site({"loops": GpioBus()})
    where = f"sim:{tmp_path / 'gpio.sock'}"
    wiring = Wiring(site, {"loops": where}, lines={"loops": [LineSpec("lead")]})
    heard = BusReadings()
    with SimChip(("lead",), tmp_path / "gpio.sock") as chip:
        buses = BusWorkers(wiring, SystemClock(), heard, Progress())
        buses.start()
        try:
            await until(lambda: heard.contacts)
            for turn in range(3):
                at_ns = time.monotonic_ns()
                chip.drive("lead", turn % 2 == 0, at_ns)
                time.sleep(STANDS_S)  # the main loop, too
                assert chip.wait_read()
                assert at_ns not in [edge.mono_ns for edge in heard.contacts]
                assert buses.watched_until_ns() <= at_ns
                await until(lambda at_ns=at_ns: buses.watched_until_ns() > at_ns)  # type: ignore[misc]
                assert at_ns in [edge.mono_ns for edge in heard.contacts]
        finally:
            await buses.stop()
