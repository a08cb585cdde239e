"""One gateway that lives through outages, and how long each time until a fresh record arrives.

A meter is asked five times a second and each reading is committed and sent at once (`raw`), so a
fresh one is never far. The gateway reaches its broker through a proxy that breaks; the subscriber
is beside the broker, and comes back within 20 ms.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from edge.rig.brokerlink import BrokerLink, LinkFault
from tests.bench.rig import BUS, METER, TABLES, BenchSubscriber, write_site
from tests.kit.process import MeasuredProgram, quiet_broker
from tests.kit.waiting import wait_until

EVERY_S: Final = 0.2
PATIENCE_S: Final = 150.0
SETTLED_S: Final = 6.0  # between two outages: a connection of less than 5 s counts as a failure


class OutageRig:
    """A gateway with all that it needs. `platform`: receipts confirm."""

    def __init__(self, stack: ExitStack, folder: Path, *, platform: bool = False) -> None:
        folder.mkdir()
        self._stack, self._folder = stack, folder
        self.broker = stack.enter_context(quiet_broker(folder))
        self.listener = BenchSubscriber(folder, self.broker.port)
        stack.enter_context(self.listener.program)
        self.listener.program.said()
        self.proxy = BrokerLink("127.0.0.1", self.broker.port).start()
        stack.callback(self.proxy.stop)
        table = TABLES / "meter10.toml"
        meters = MeasuredProgram(folder / "meters.log", "tests.bench.meters", table, 1)
        port = stack.enter_context(meters).said()["port"]
        parts = (BUS.format(port=port), METER.format(unit=1, table="meter10", every_s=EVERY_S))
        self._site, _ = write_site(folder, self.proxy.port, *parts, raw_commit_s=0, period_s=900)
        if platform:
            text = self._site.read_text("utf-8")
            self._site.write_text(text.replace('"broker"', '"platform"'), "utf-8")
            self.receipts = self._receipts()
        self.gateway = self._gateway()
        self.fresh_s(time.monotonic_ns())

    def _gateway(self) -> MeasuredProgram:
        log = self._folder / "gateway.log"
        return self._stack.enter_context(
            MeasuredProgram(log, "tests.bench.launch", "run", self._site)
        )

    def _receipts(self) -> MeasuredProgram:
        url, store = f"mqtt://127.0.0.1:{self.broker.port}", self._folder / "platform.db"
        words = ("receipts", "--broker", url, "--store", store)
        log = self._folder / "platform.log"
        return self._stack.enter_context(MeasuredProgram(log, "tests.bench.launch", *words))

    # -- outages: each gives the seconds from its end to the first fresh record --------------------

    def broker_killed(self, away_s: float) -> float:
        self.broker.kill()
        time.sleep(away_s)
        self.broker.start()
        return self.fresh_s(time.monotonic_ns())

    def reset(self) -> float:
        end_ns = time.monotonic_ns()
        self.proxy.reset()
        return self.fresh_s(end_ns)

    def hole(self, hole_s: float) -> tuple[float, float]:
        """Both ends stay open and nothing comes through: also when the gateway has noticed."""
        begin_s, before = time.monotonic(), self.proxy.counts.connections
        self.proxy.set(LinkFault("black_hole"))
        wait_until(lambda: self.proxy.counts.connections > before, seconds=PATIENCE_S)
        noticed_s = time.monotonic() - begin_s
        time.sleep(max(0.0, hole_s - noticed_s))
        self.proxy.set(LinkFault("fine"))
        return noticed_s, self.fresh_s(time.monotonic_ns())

    def killed(self) -> float:
        self.gateway.kill()
        end_ns = time.monotonic_ns()
        self.gateway = self._gateway()
        return self.fresh_s(end_ns)

    def platform_away(self, away_s: float) -> float:
        """Here the first receipt counts: records arrive all the time."""
        self.receipts.kill()
        time.sleep(away_s)
        end_ns = time.monotonic_ns()
        self.receipts = self._receipts()
        return self._first_s(end_ns, self._receipt_at)

    # -- what came ---------------------------------------------------------------------------------

    def fresh_s(self, since_ns: int) -> float:
        """Seconds wait_until a reading arrives that was made after this moment."""
        found = self._first_s(since_ns, self._fresh_at)
        time.sleep(SETTLED_S)
        return found

    def _first_s(self, since_ns: int, at: Callable[[int], int | None]) -> float:
        end_s = time.monotonic() + PATIENCE_S
        while (at_ns := at(since_ns)) is None:
            self.gateway.alive()
            assert time.monotonic() < end_s, "nothing came"
            time.sleep(0.05)
        return (at_ns - since_ns) / 1e9

    def _fresh_at(self, since_ns: int) -> int | None:
        for heard in self.listener.heard():
            late_enough = heard.raw and heard.at_ns >= since_ns
            if late_enough and any(sweep.mono_ns >= since_ns for sweep in heard.sweeps()):
                return heard.at_ns
        return None

    def _receipt_at(self, since_ns: int) -> int | None:
        for heard in self.listener.heard():
            if heard.topic.endswith("/down/receipt") and heard.at_ns >= since_ns:
                return heard.at_ns
        return None


@contextmanager
def box(folder: Path, *, platform: bool = False) -> Iterator[OutageRig]:
    with ExitStack() as stack:
        yield OutageRig(stack, folder, platform=platform)
