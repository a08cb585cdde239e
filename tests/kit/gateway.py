"""A gateway under test: `kerbstone run` as a process of its own, and what a subscriber has of it.

Its configuration is of parts (LOOPS, AIR, METER); `street` plays what the parts read.

    gateway = GatewayProcess(tmp_path, broker, LOOPS, AIR, period_s=2)
    records = Records(broker, tmp_path)
    with LoopStreet(tmp_path, air=Sen55(VALUES)):
        gateway.start()
        records.wait(lambda r: len(r.of("air")) >= 2)
        gateway.kill()  # -9
    gateway.close()

The fixture `site` of `fixtures` closes what it made. In process there are `lives` (the daemon's own
ingest and window committer), `uplink` (outbox and sender) and `virtualgateway` (a week in minutes).
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TextIO

from tests.kit.broker import SUBSCRIBER, Mosquitto

ROOT = Path(__file__).parents[2]
KERBSTONE = (sys.executable, "-m", "edge.cli.main")

CONFIG = """
[site]
id = "test"
gateway = "gw-1"
period_s = {period_s}
[store]
dir = "{dir}/store"
run_dir = "{dir}/run"
limit_mb = 16
[uplink]
url = "{url}"
confirm = "broker"
encoding = "{encoding}"
"""
LAST = "last_s = 1\n"  # belongs to [uplink]: before the other parts
LOOPS = """
[bus.loops]
kind = "gpio"
chip = "sim:{dir}/gpio.sock"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "lead"
trail = "trail"
spacing_m = 4.0
active = "high"
bias = "none"
"""
AIR = """
[bus.air]
kind = "i2c"
path = "sim:{dir}/i2c.sock"
[device.hut_air]
driver = "sen55"
bus = "air"
every_s = 1.0
settle_reads = 1
"""
METER = """
[bus.meters]
kind = "modbus-rtu"
port = "{meter}"
baud = 38400
link_delay_s = 0.5  # nothing lies between: what never changes is believed from the start
[device.main_meter]
driver = "sdm630"
bus = "meters"
unit = 1
every_s = 1.0
"""


class GatewayProcess:
    """Its folder, its configuration, and the daemon that may be started and killed."""

    command: ClassVar[tuple[str, ...]] = KERBSTONE

    def __init__(self, folder: Path, broker: Mosquitto, *parts: str, **words: Any) -> None:
        self.folder, self.broker = folder, broker
        values = {"dir": folder, "url": broker.url, "period_s": 2, "encoding": "json", **words}
        self.config = folder / "site.toml"
        self.config.write_text((CONFIG + "".join(parts)).format(**values))
        (folder / "run").mkdir()
        self.log = folder / "daemon.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._logs: list[TextIO] = []

    def start(self) -> None:
        log = self.log.open("a")
        self._logs.append(log)
        self._daemon = subprocess.Popen(
            [*self.command, "run", "-v", str(self.config)], cwd=ROOT, stderr=log, stdout=log
        )

    def kill(self) -> None:
        """-9: it cannot say goodbye."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait(60)

    def stop(self) -> int:
        """SIGTERM, as systemd does it; returns the exit code."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGTERM)
        return self._daemon.wait(60)

    @property
    def pid(self) -> int:
        assert self._daemon is not None
        return self._daemon.pid

    @property
    def running(self) -> bool:
        return self._daemon is not None and self._daemon.poll() is None

    @property
    def memory_kib(self) -> int:
        """What the daemon has in memory now (VmRSS)."""
        assert self._daemon is not None
        status = Path(f"/proc/{self._daemon.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def close(self) -> None:
        if self._daemon is not None and self.running:
            self._daemon.kill()
            self._daemon.wait(60)
        for log in self._logs:
            log.close()

    def ask(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`kerbstone VERB ... --config FILE --json` beside the daemon."""
        command = [*KERBSTONE, verb, *arguments, "--config", str(self.config), "--json"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


class Records:
    """What a broker gave to `kerbstone subscribe --json`, as it came."""

    def __init__(self, broker: Mosquitto, folder: Path, *options: str) -> None:
        self._out = (folder / "records").open("w+")
        before = broker.log.count("Sending SUBACK")
        command = [*KERBSTONE, "subscribe", "--broker", broker.url, "--json", *options]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=self._out, stderr=subprocess.PIPE, text=True
        )
        self._lines: list[dict[str, Any]] = []
        self._rest = ""
        self._reader = (folder / "records").open()
        end = time.monotonic() + 60
        while broker.log.count("Sending SUBACK") <= before:  # what comes before is not for it
            assert self._process.poll() is None, self._process.communicate()[1]
            assert time.monotonic() < end, "kerbstone subscribe has not subscribed"
            time.sleep(0.02)

    def all(self) -> list[dict[str, Any]]:
        """Everything so far."""
        *lines, self._rest = (self._rest + self._reader.read()).split("\n")
        self._lines += [json.loads(line) for line in lines]
        return self._lines

    def of(self, stream: str) -> list[dict[str, Any]]:
        return [r for r in self.all() if r["kind"] == "record" and r["stream"] == stream]

    def wait(self, done: Callable[["Records"], Any], timeout_s: float = 90.0) -> None:
        """Until `done` is true. Fails with what had come by then."""
        end = time.monotonic() + timeout_s
        while not done(self):
            assert time.monotonic() < end, f"not within {timeout_s} s; so far: {self.all()[-5:]}"
            assert self._process.poll() is None, self._process.communicate()[1]
            time.sleep(0.05)

    def stop(self) -> tuple[int, str]:
        """SIGINT: exit code and what it said."""
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=60)
        self._out.close()
        self._reader.close()
        return self._process.returncode, said


class Tail:
    """A mosquitto_sub: no code of ours between the broker and what is looked at here."""

    def __init__(self, broker: Mosquitto, topic: str, folder: Path) -> None:
        self._file = folder / f"sub-{len(list(folder.glob('sub-*')))}"
        self._out = self._file.open("wb")
        command = [SUBSCRIBER, "-p", str(broker.port), "-V", "5", "-q", "1", "-t", topic]
        self._process = subprocess.Popen([*command, "-F", "%t %p"], stdout=self._out)

    def wait(
        self,
        topics: set[str],
        timeout_s: float = 90.0,
        is_meant: Callable[[dict[str, Any]], bool] = lambda message: True,
    ) -> dict[str, dict[str, Any]]:
        """The last message of each topic (what follows `/up/`) that `is_meant`, once all `topics`
        have one."""
        end = time.monotonic() + timeout_s
        while True:
            got = {}
            for line in self._file.read_bytes().split(b"\n")[:-1]:
                topic, _, payload = line.partition(b" ")
                name = topic.decode().partition("/up/")[2]
                if name in topics and is_meant(message := json.loads(payload)):
                    got[name] = message
            if got.keys() >= topics:
                self.close()
                return got
            assert time.monotonic() < end, f"only {sorted(got)} of {sorted(topics)}"
            time.sleep(0.1)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._out.close()


def gaps(records: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """What gap events name, in monotonic ns."""
    for record in records:
        if record["kind"] != "record" or record.get("event") != "gap":
            continue
        if record["gap"][0] is not None:
            yield record["gap"][0] * 1000, record["gap"][1] * 1000
