"""A gateway's surroundings for one check of the doctor, and the command that asks for this check.

    @fault_of("tls_name")
    def another_name(bench: Bench) -> Answers:
        cert, key = bench.authority().issue("server", host="broker.example")
        return bench.ask("tls_name", bench.site(bench.secure(cert, key)))

Every case is `kerbstone doctor --check ID` on real files, sockets and brokers: so each check is
seen to run alone. Where the kernel would have to fail, a recorded tree takes its place.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from edge.diagnose.checks import CheckId
from tests.kit.broker import Mosquitto
from tests.kit.certificates import CertificateAuthority
from tests.kit.command import Command
from tests.kit.kerneltrees import pi
from tests.kit.rawbroker import RawBroker

VALID: Final = (-1.0, 300.0)  # days: far enough that nobody need be told
SITE: Final = """
[site]
id = "s"
gateway = "gw-1"
[uplink]
url = "{url}"
confirm = "{confirm}"
{uplink}
[store]
dir = "{dir}/store"
run_dir = "{dir}/run"
[models]
congestion = false
loopfault = false
anomaly = false
"""

Side = Literal["fault", "clean"]


@dataclass(frozen=True)
class Answers:
    """What the command said of one check."""

    check: CheckId
    code: int
    rows: list[dict[str, str]]

    @property
    def outcomes(self) -> set[str]:
        return {row["outcome"] for row in self.rows}


@dataclass(frozen=True)
class Told:
    """The status of a real gateway with a lane, a sensor and a broker, and its site file."""

    file: Path
    status: dict[str, Any]


@dataclass
class Bench:
    """One for each case."""

    kerbstone: Command
    tmp_path: Path
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack
    running: Callable[[], "Told"]
    made: int = field(default=0)

    def site(
        self, url: str = "mqtt://127.0.0.1:1", *more: str, uplink: str = "",
        confirm: str = "broker",
    ) -> Path:  # fmt: skip
        file = self.tmp_path / "site.toml"
        words = {"url": url, "uplink": uplink, "confirm": confirm, "dir": self.tmp_path}
        text = SITE.format(**words) + "".join(more).replace("{dir}", str(self.tmp_path))
        file.write_text(text, encoding="utf-8")
        return file

    def ask(
        self, check: CheckId, file: Path, *words: str, status: Mapping[str, Any] | None = None
    ) -> Answers:
        """`status`: a daemon runs, and says that; else none does."""
        with self.monkeypatch.context() as patch:
            if status is not None:
                patch.setattr("edge.cli.doctor.ask_daemon", lambda *_: dict(status))
            said = self.kerbstone(
                "doctor", "--check", check, "--json", "--connect", "--config", file, *words
            )
        rows = json.loads(said.out)["checks"] if said.out else []
        assert {row["id"] for row in rows} <= {check}, "it runs alone"
        return Answers(check, said.code, rows)

    # -- brokers -----------------------------------------------------------------------------------

    def broker(self, conf: str = "allow_anonymous true\n") -> Mosquitto:
        self.made += 1
        made = Mosquitto(self.tmp_path / f"broker{self.made}", conf).start()
        self.stack.callback(made.kill)
        return made

    def authority(self, name: str = "authority") -> CertificateAuthority:
        return CertificateAuthority(self.tmp_path, name, days=VALID)

    def secure(self, cert: Path, key: Path, conf: str = "allow_anonymous true\n") -> str:
        """The URL of a broker with this certificate."""
        broker = self.broker(f"{conf}certfile {cert}\nkeyfile {key}\n")
        return f"mqtts://127.0.0.1:{broker.port}"

    def raw(
        self, setting: Callable[[RawBroker], None] = lambda broker: None,
        make: Callable[[], RawBroker] = RawBroker,
    ) -> str:  # fmt: skip
        """The URL of a broker that answers as `setting` tells it; in a thread of its own."""
        return self.stack.enter_context(_raw_broker(setting, make))

    @property
    def gateway(self) -> "Told":
        """A gateway that is well, as it told it."""
        return self.running()

    # -- the machine -------------------------------------------------------------------------------

    def kernel(self, **files: str) -> Path:
        """A Raspberry Pi's files, with these in place of its own: the folders of the site lie on
        its card."""
        self.made += 1
        root = self.tmp_path / f"root{self.made}"
        mounts = f"30 22 179:3 / {self.tmp_path} rw,noatime - ext4 /dev/mmcblk0p3 rw\n"
        well = {
            "proc/self/mountinfo": mounts, "sys/fs/ext4/mmcblk0p3/errors_count": "0\n",
            "proc/77/comm": "chronyd\n",
        }  # fmt: skip
        given = {name.replace("__", "/"): text for name, text in files.items()}
        made = pi(root, **{**well, **given})
        self.monkeypatch.setattr("edge.cli.doctor.ROOT", made)
        return made


@contextlib.contextmanager
def _raw_broker(
    setting: Callable[[RawBroker], None], make: Callable[[], RawBroker]
) -> Iterator[str]:
    ready, urls = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        broker = make()
        setting(broker)
        server = await asyncio.start_server(broker.accept, "127.0.0.1", 0)
        urls.append(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await stop.wait()
        server.close()
        for task in broker.serving:
            task.cancel()
        await asyncio.gather(*broker.serving, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


Case = Callable[[Bench], Answers]
CASES: Final[dict[tuple[CheckId, Side], Case]] = {}


def fault_of(check: CheckId) -> Callable[[Case], Case]:
    """This case has the fault of that check."""
    return _case(check, "fault")


def clean(check: CheckId) -> Callable[[Case], Case]:
    """This case has not."""
    return _case(check, "clean")


def _case(check: CheckId, side: Side) -> Callable[[Case], Case]:
    def put(case: Case) -> Case:
        assert (check, side) not in CASES, f"{check} has its {side} case already"
        CASES[check, side] = case
        return case

    return put
