"""The nominal street in real time: 20 meters of ten values once a second, periods of 60 s.

Four gateways read the same meters side by side, each with a broker and a counted line of its own:
ours with summaries (MessagePack, models on, its outbox on a block device of its own), ours with
summaries as JSON, ours with `raw`, and the script with one JSON a meter and reading.
"""

import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from edge.config.model import Streams
from edge.outbox.outbox import Outbox
from tests.bench.card import CountedCard, card
from tests.bench.rig import BUS, METER, TABLES, BenchSubscriber, HeardMessage, write_site
from tests.kit.link import CountingProxy
from tests.kit.process import MeasuredProgram, quiet_broker
from tests.kit.virtualgateway import lived
from tests.week.offline import Again, mark

UNITS: Final = 20
POINTS: Final = 10
PERIOD_S: Final = 60
MINUTES: Final = 2
AFTER_S: Final = 12.0  # of a window: it has been committed, sent and confirmed by then
GROWN: Final = 200  # commits after which the log has its length
COMMIT_S: Final = Streams().raw_commit_s
TABLE: Final = TABLES / "meter10.toml"
READINGS: Final = UNITS * POINTS * PERIOD_S * MINUTES
JSON: Final = '[uplink]\nencoding = "json"\n'
OURS: Final[dict[str, dict[str, Any]]] = {
    "summaries": {"raw": "false", "models": "true", "period_s": PERIOD_S, "last_s": 1},
    "json": {"raw": "false", "period_s": PERIOD_S, "last_s": 1, "more": JSON},
    "raw": {"raw": "true", "raw_commit_s": COMMIT_S, "period_s": 900},
}


@dataclass(frozen=True, slots=True)
class NominalUse:
    """In MINUTES minutes."""

    up: int  # bytes towards the broker, with all of MQTT in them
    last: int  # of these: payloads and topics of the retained last ones
    own: int  # write_bytes of the process
    device: int  # bytes that its block device got; 0: not counted
    records: int  # messages of meters that came


class GatewayLane:
    """One gateway with its broker, line and listener."""

    def __init__(self, stack: ExitStack, folder: Path, meters_port: int) -> None:
        folder.mkdir()
        self.folder, self._meters_port = folder, meters_port
        broker = stack.enter_context(quiet_broker(folder))
        self.listener = BenchSubscriber(folder, broker.port)
        stack.enter_context(self.listener.program)
        self.listener.program.said()
        self.proxy = stack.enter_context(CountingProxy(broker.port))
        self.card: CountedCard = stack.enter_context(card(folder / "disk"))
        self.gateway: MeasuredProgram

    def start(self, stack: ExitStack, name: str) -> None:
        """The gateway, when its kind is known."""
        if name == "script":
            arguments = (TABLE, UNITS, 1.0, self._meters_port, self.proxy.port)
            made = MeasuredProgram(self.folder / "log", "tests.bench.script", *arguments)
        else:
            words = dict(OURS[name])
            more = words.pop("more", "")
            meters = [METER.format(unit=n + 1, table="meter10", every_s=1) for n in range(UNITS)]
            parts = [BUS.format(port=self._meters_port), *meters]
            site, _ = write_site(self.folder, self.proxy.port, *parts, **words)
            text = site.read_text("utf-8")
            text = text.replace("[uplink]\n", more or "[uplink]\n")
            ours = self.folder / "ours"
            site.write_text(text.replace(f"{ours}/store", f"{self.card.folder}/store"), "utf-8")
            made = MeasuredProgram(self.folder / "log", "tests.bench.launch", "run", site)
        self.gateway = stack.enter_context(made)

    def reading(self) -> tuple[int, int, int]:
        return self.proxy.up, self.gateway.written(), self.card.written()


def grow_log(folder: Path) -> None:
    """An outbox whose log is as long as it gets, as a kill leaves it: each commit of a new one
    makes the file longer, and that costs the file system more than the hours after."""
    with TemporaryDirectory(prefix="kerbstone-bench-") as made:
        outbox = Outbox.open(Path(made), limit_bytes=256 << 20, boot_id="b", ballast_bytes=0)
        outbox.begin()
        rows: list[int] = []
        for commit in islice(Again(lived(15)), GROWN):
            rows = [s.row for s in outbox.commit(commit.drafts, {}, rows, mark(commit.at_ns))]
        outbox.commit((), {}, rows, mark(commit.at_ns))
        shutil.copytree(made, folder)
        outbox.close()
    os.sync()


def to_the_middle(period_s: int) -> None:
    """Wait until AFTER_S after the next window's end."""
    now_s = time.time()
    time.sleep(period_s - now_s % period_s + AFTER_S)


def measure(folder: Path) -> dict[str, NominalUse]:
    """All four, for MINUTES whole windows."""
    folder.mkdir()
    with ExitStack() as stack:
        meters = MeasuredProgram(folder / "meters.log", "tests.bench.meters", TABLE, UNITS)
        port = stack.enter_context(meters).said()["port"]
        lanes = {name: GatewayLane(stack, folder / name, port) for name in (*OURS, "script")}
        for name, lane in lanes.items():
            if name in OURS:
                grow_log(lane.card.folder / "store")
            lane.start(stack, name)
        to_the_middle(PERIOD_S)  # the first window was short
        begin_ns, before = time.monotonic_ns(), {n: one.reading() for n, one in lanes.items()}
        time.sleep(MINUTES * PERIOD_S)
        end_ns, after = time.monotonic_ns(), {n: one.reading() for n, one in lanes.items()}
        found = {}
        for name, lane in lanes.items():
            heard = [m for m in lane.listener.heard() if begin_ns <= m.at_ns < end_ns]
            up, own, device = (b - a for a, b in zip(before[name], after[name], strict=True))
            found[name] = NominalUse(up, last(heard), own, device, sum(m.values for m in heard))
    return found


def last(heard: list[HeardMessage]) -> int:
    return sum(len(m.topic) + len(m.payload) for m in heard if "/up/last/" in m.topic)
