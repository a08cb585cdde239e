"""One reading while no daemon runs: take the bus's lock, work alone, give it back."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock
from edge.config import Site
from edge.control.buslock import BusLock
from edge.control.protocol import VerbError
from edge.core import BusError, ConfigError, DataError, SelfReporting, Sweep, failed_sweep, sweep
from edge.gateway.calibrationsetup import expired_points
from edge.gateway.livestatus import reading_rows
from edge.gateway.verbs import condition_texts, not_there
from edge.gateway.wiring import Wiring
from edge.process.enginesources import EngineSources

SECOND_NS: Final = 1_000_000_000
ATTEMPTS: Final = 5  # a sensor that measures once a second has nothing in its first answers


def read_once(site: Site, name: str) -> dict[str, Any]:
    """Readings and health of one device.

    Raises VerbError when it cannot be asked, BusError when it is silent.
    """
    wiring = Wiring.of(site)
    device = next((d for group in wiring.polled.values() for d in group if d.name == name), None)
    if device is None:
        raise VerbError(not_there(name, wiring.points()))
    bus = site.devices[name].bus
    lock = BusLock(Path(site.store.run_dir), bus)
    if not lock.take():
        raise VerbError(lock.in_use())
    try:
        result, text = asyncio.run(_read_device(device.name, device.polled))
        rows = reading_rows(published_alone(site, wiring).published(result))
        health = device.polled.health if isinstance(device.polled, SelfReporting) else {}
        return {"readings": rows, "health": condition_texts(health), "text": text}
    finally:
        lock.release()
        wiring.close()


def published_alone(site: Site, wiring: Wiring) -> EngineSources:
    """What makes of measured values those that the city gets, while no gateway runs.

    Raises VerbError for calibrations that cannot be.
    """
    try:
        sources = EngineSources(wiring.setup())
    except (ValueError, ConfigError) as error:
        raise VerbError(f"{site.file}: {error}") from error
    sources.expired(expired_points(site, SystemClock().now()))
    return sources


async def _read_device(name: str, polled: Any) -> tuple[Sweep, str]:
    """Its values, and what is wrong with it. Raises BusError when it is silent."""
    clock = SystemClock()
    try:
        await polled.open()
        for _ in range(ATTEMPTS):
            samples = await polled.read()
            result = sweep(name, 0, samples)
            if any(value is not None for value in result.values):
                break
            await clock.sleep_until(clock.now().mono_ns + SECOND_NS)
        return result, ""
    except DataError as error:
        return failed_sweep(name, 0, len(polled.points), error.reason), str(error)
    finally:
        with contextlib.suppress(BusError, DataError):
            await polled.close()
