"""One measurement: meters, a broker, a listener, and either of the two gateways between them."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgpack

from edge.core import Sweep
from edge.wire import raw_sweeps
from tests.kit.process import MeasuredProgram, quiet_broker

TABLES: Final = Path(__file__).parent / "tables"
METERS: Final = 10
VALUES: Final = 20  # of one meter20
LONG_S: Final = 900  # the longest period of a site: its summaries stay out of the measurement
Who = Literal["ours", "script"]

OWNER: Final = "bench/gw"  # whose stage it is: site and gateway
SITE: Final = """
[site]
id = "bench"
gateway = "gw"
period_s = {period_s}
[store]
dir = "{folder}/store"
run_dir = "{run}"
[uplink]
url = "mqtt://127.0.0.1:{broker}"
confirm = "broker"
last_s = {last_s}
[streams]
raw = {raw}
raw_commit_s = {raw_commit_s}
[privacy]
passages = true
[models]
congestion = {models}
anomaly = {models}
"""
BUS: Final = """
[bus.meters]
kind = "modbus-tcp"
host = "127.0.0.1"
port = {port}
timeout_s = 0.5
"""
METER: Final = """
[device.m{unit}]
driver = "{table}"
bus = "meters"
unit = {unit}
every_s = {every_s}
"""


@dataclass(frozen=True, slots=True)
class HeardMessage:
    """One message, as the listener got it."""

    at_ns: int
    topic: str
    payload: bytes

    @property
    def raw(self) -> bool:
        return self.topic.endswith("/up/raw")

    @property
    def values(self) -> bool:
        """Of a meter, and not what a gateway says about itself."""
        return self.raw or self.topic.startswith("site/") or "/up/energy/" in self.topic

    def sweeps(self) -> Sequence[Sweep]:
        """Of a batch of `raw`."""
        return raw_sweeps(msgpack.unpackb(self.payload))[1]

    def message(self) -> dict[str, Any]:
        """Of the script."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


class BenchSubscriber:
    """The subscriber's process and its file."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self._file = folder / "heard"
        arguments = ("tests.bench.listen", broker_port, self._file)
        self.program = MeasuredProgram(folder / "listen.log", *arguments)

    def heard(self) -> list[HeardMessage]:
        """Everything so far."""
        found = []
        with self._file.open("rb") as file:
            for at_ns, topic, payload in msgpack.Unpacker(file, max_buffer_size=0):
                found.append(HeardMessage(at_ns, topic, payload))
        return found


class MeterBench:
    """Meters, broker and listener; `start` puts a gateway between them."""

    def __init__(self, folder: Path, table: str, broker_port: int, meters: MeasuredProgram) -> None:
        self.folder, self.table, self.broker_port = folder, table, broker_port
        self.meters = meters
        self.meters_port: int = meters.said()["port"]
        self.listener = BenchSubscriber(folder, broker_port)
        self.listener.program.said()

    def gateway(self, who: Who, every_s: float, **words: Any) -> MeasuredProgram:
        """A gateway that has not said anything yet; `words` are for the site of ours."""
        log, port = self.folder / f"{who}.log", words.pop("broker_port", self.broker_port)
        if who == "script":
            table = TABLES / f"{self.table}.toml"
            arguments = (table, METERS, every_s, self.meters_port, port)
            return MeasuredProgram(log, "tests.bench.script", *arguments)
        site = self.site(every_s=every_s, broker=port, **words)
        return MeasuredProgram(log, "tests.bench.launch", "run", site)

    def first_value_ns(self, gateway: MeasuredProgram, timeout_s: float = 20.0) -> int:
        """Wait for the first message with values; returns when it came."""
        end = time.monotonic() + timeout_s
        while True:
            for each in self.listener.heard():
                if each.values:
                    return each.at_ns
            gateway.alive()
            assert time.monotonic() < end, "no value came"
            time.sleep(0.02)

    def site(self, every_s: float, broker: int, **words: Any) -> Path:
        """Writes a site.toml with this world's meters."""
        parts = [BUS.format(port=self.meters_port)]
        for unit in range(1, METERS + 1):
            parts.append(METER.format(unit=unit, table=self.table, every_s=every_s))
        return write_site(self.folder, broker, *parts, **words)[0]


def write_site(folder: Path, broker: int, *parts: str, **words: Any) -> tuple[Path, Path]:
    """Writes a site.toml and makes its folders; gives the file, and the one in memory."""
    run = memory_folder(folder / "ours")
    values = {
        "period_s": 60, "raw": "true", "raw_commit_s": 1.0, "models": "false", "last_s": 0,
        "folder": folder / "ours", "run": run, "broker": broker, **words,
    }  # fmt: skip
    file = folder / "site.toml"
    file.write_text(SITE.format(**values) + "".join(parts), "utf-8")
    return file, run


@contextmanager
def world(folder: Path, table: str = "meter20") -> Iterator[MeterBench]:
    """In a new folder; everything has ended and is gone after the block."""
    folder.mkdir()
    with ExitStack() as stack:
        broker = stack.enter_context(quiet_broker(folder))
        meters = MeasuredProgram(
            folder / "meters.log", "tests.bench.meters", TABLES / f"{table}.toml", METERS
        )
        stack.enter_context(meters)
        made = MeterBench(folder, table, broker.port, meters)
        stack.enter_context(made.listener.program)
        yield made


def values_between(who: Who, heard: Sequence[HeardMessage], begin: "Moment", end: "Moment") -> int:
    """How many values were read within the time, of those that arrived."""
    count = 0
    for each in heard:
        if who == "ours" and each.raw:
            for sweep in each.sweeps():
                if begin.mono_ns <= sweep.mono_ns < end.mono_ns:
                    count += sum(value is not None for value in sweep.values)
        elif who == "script" and each.topic.startswith("site/"):
            message = each.message()
            if begin.wall_s <= message["t"] < end.wall_s:
                count += len(message) - 2  # but for the time and the meter's number
    return count


@dataclass(frozen=True, slots=True)
class Moment:
    """On both clocks: ours stamps with the monotonic one, the script with the wall's."""

    mono_ns: int
    wall_s: float

    @classmethod
    def now(cls) -> "Moment":
        return cls(time.monotonic_ns(), time.time())


def clear_of_long_windows(seconds: float) -> None:
    """Wait until no window of LONG_S ends within the next seconds."""
    left_s = LONG_S - time.time() % LONG_S
    if left_s < seconds:
        time.sleep(left_s + 1)


def memory_folder(beside: Path) -> Path:
    """A new folder in memory, as /run is on a box; on disk where there is none."""
    beside.mkdir(parents=True, exist_ok=True)
    memory = Path("/dev/shm")
    if not memory.is_dir():
        (beside / "run").mkdir()
        return beside / "run"
    folder = Path(tempfile.mkdtemp(prefix="kerbstone-bench-", dir=memory))
    FOLDERS.append(folder)
    return folder


FOLDERS: list[Path] = []  # in memory, to be removed at the end of the benchmarks


def forget_folders() -> None:
    """Remove what was made in memory."""
    while FOLDERS:
        shutil.rmtree(FOLDERS.pop(), ignore_errors=True)


__all__ = [
    "LONG_S", "METERS", "VALUES", "HeardMessage", "MeterBench", "Moment", "Who",
    "clear_of_long_windows", "values_between", "world", "write_site",
]  # fmt: skip
