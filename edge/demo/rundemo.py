"""Join the demo's parts: broker, street, daemon, and a subscriber that shows what arrives."""

import asyncio
import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

import drivers
from edge.acquire.clock import SystemClock
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskplaces import DeskPlace
from edge.config import Site, load_site
from edge.demo.demobroker import run_broker
from edge.demo.demostreet import AIR, FAULT, FAULT_AT_S, demo_cabinet, load_trace
from edge.demo.display import DemoDisplay, Screen
from edge.demo.warmup import WARMUP_S, warm_up
from edge.gateway.daemon import Daemon
from edge.platform.subscription import listen, parse_source
from edge.terminal import draw, has_colours, has_cursor
from edge.wire import WireError, decode

HERE: Final = Path(__file__).parent
# in a wheel it lies beside this file, in a checkout in deploy/
CONFIG: Final = next(
    (p for p in (HERE / "demo.toml", HERE.parents[1] / "deploy" / "demo.toml") if p.exists()),
    HERE / "demo.toml",
)
TOPICS: Final = "kerbstone/v1/#"
DRAIN_S: Final = 3.0


def run_demo(seconds: float | None, screen: Screen) -> int:
    """Run for `seconds`, or until interrupted. Raises NoBrokerError, ConfigError."""
    with tempfile.TemporaryDirectory(prefix="kerbstone-demo-") as name:
        folder = Path(name)
        with run_broker(folder) as (kind, port):
            screen.print_line(
                f"broker: {kind} on 127.0.0.1:{port}; site: {CONFIG.name}, period 5 s"
            )
            site = _placed(load_site(CONFIG, drivers.catalogue()), folder, port)
            return asyncio.run(_run(site, folder, port, seconds, screen))


async def _run(site: Site, folder: Path, port: int, seconds: float | None, screen: Screen) -> int:
    clock, trace = SystemClock(), load_trace()
    daemon = Daemon(site, clock)
    daemon.pipeline.load()
    what = f"models warm up on the {WARMUP_S // 60} min before"
    screen.print_line(what)
    warm_up(
        daemon.pipeline.judge, daemon.wiring, trace, clock.now().mono_ns,
        lambda share: screen.progress(share, what),
    )  # fmt: skip
    with demo_cabinet(site, trace) as cabinet:
        ready = asyncio.Event()
        showing = asyncio.create_task(_show_messages(port, clock, screen, ready))
        await ready.wait()
        running = asyncio.create_task(daemon.run())
        parts = {running, showing, asyncio.create_task(_timeline(clock, cabinet, screen, seconds))}
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()  # a fault of ours is not hidden
        finally:
            daemon.stop()
            await asyncio.wait({running}, timeout=DRAIN_S)
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
    return 0


async def _timeline(
    clock: SystemClock, cabinet: Cabinet, screen: Screen, seconds: float | None
) -> None:
    start_ns = clock.now().mono_ns
    until_ns = None if seconds is None else start_ns + int(seconds * 1e9)
    fault_ns = start_ns + int(FAULT_AT_S * 1e9)
    if until_ns is None or fault_ns < until_ns:
        await clock.sleep_until(fault_ns)
        cabinet.misbehave(AIR, FAULT)
        screen.print_line("the simulated air sensor is given a fault now")
    if until_ns is None:
        await asyncio.Event().wait()
    else:
        await clock.sleep_until(until_ns)


async def _show_messages(
    port: int, clock: SystemClock, screen: Screen, ready: asyncio.Event
) -> None:
    source = parse_source(f"mqtt://127.0.0.1:{port}", "kerbstone-demo")
    async for arrived in listen(source, [TOPICS], clock, on_ready=ready.set):
        with contextlib.suppress(WireError):  # nobody else publishes here
            for message in decode(arrived.topic, arrived.payload, arrived.content_type):
                screen.show(message)


def _placed(site: Site, folder: Path, port: int) -> Site:
    """The site of deploy/demo.toml with this run's sockets, folders and port."""
    places = {
        "loops": DeskPlace({"chip": f"sim:{folder}/gpio.sock"}),
        "air": DeskPlace({"path": f"sim:{folder}/i2c.sock"}),
        "meters": DeskPlace({"port": str(folder / "meter")}),
    }
    (folder / "run").mkdir()
    store = msgspec.structs.replace(site.store, dir=f"{folder}/store", run_dir=f"{folder}/run")
    uplink = msgspec.structs.replace(site.uplink, url=f"mqtt://127.0.0.1:{port}")
    return replace(placed_site(site, places), uplink=uplink, store=store)


def new_screen() -> Screen:
    """On this process's output."""
    title = "KERBSTONE DEMO  a simulated intersection, 5 s a record"
    return Screen(DemoDisplay(title), draw, live=has_cursor(), colours=has_colours())
