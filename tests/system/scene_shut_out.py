"""A scene: no broker at the start, then one that does not let us in, then all is well."""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.broker import Mosquitto
from tests.kit.gateway import LOOPS, GatewayProcess, Records
from tests.kit.street import LoopStreet
from tests.kit.subscribed import ALL, end_us

LATE_S = 14.0  # what has waited for ten seconds is late: some windows are older, and by far


def refused_by(broker: Mosquitto, timeout_s: float) -> None:
    """Wait until the broker has turned the gateway away, and it has had time to say so."""
    end = time.monotonic() + timeout_s
    while "not authorised" not in broker.log:
        assert time.monotonic() < end, broker.log[-2000:]
        time.sleep(0.05)
    time.sleep(0.5)


def passwd(broker: Mosquitto, gateway: str) -> str:
    """A password file with the gateway's and the city's passwords; its path."""
    broker.folder.mkdir(parents=True, exist_ok=True)
    path = broker.folder / "passwd"
    path.unlink(missing_ok=True)
    for name, word in (("gw", gateway), ("city", "city")):
        command = ["mosquitto_passwd", "-b", *([] if path.exists() else ["-c"])]
        subprocess.run([*command, str(path), name, word], check=True, capture_output=True)
    return str(path)


@dataclass
class Closed:
    found: list[dict[str, Any]]
    passed: int
    waiting: str
    came_us: int
    code: int
    check: tuple[int, str]
    log: str


def shut_out(folder: Path) -> Closed:
    """Nobody is there, then somebody who does not know us, then all is well."""
    broker = Mosquitto(
        folder / "broker", f"allow_anonymous false\npassword_file {folder}/broker/passwd\n"
    )
    passwd(broker, "another")
    for name, word in (("gw", "right"), ("city", "city")):
        (folder / name).write_text(f"{word}\n")
        (folder / name).chmod(0o600)
    login = f'username = "gw"\npassword_file = "{folder}/gw"\n'
    site = GatewayProcess(folder, broker, login, LOOPS, period_s=1)
    city = ("--username", "city", "--password-file", str(folder / "city"))
    try:
        with LoopStreet(folder) as street:
            site.start()
            street.drive(every_s=1.0)  # more than 37 in 30 s are chatter
            opened_s = time.monotonic()
            time.sleep(6.0)
            broker.start()
            records = Records(broker, folder, *ALL, *city)
            refused_by(broker, 30.0)  # the pauses between its attempts have grown
            waiting = site.ask("outbox").stdout
            assert not records.of("traffic")
            old_s = opened_s + LATE_S - time.monotonic()
            time.sleep(max(0.0, old_s))  # the first windows must have waited for as long as this
            passwd(broker, "right")
            broker.send(signal.SIGHUP)
            records.wait(lambda r: r.of("traffic"), 40)
            came_us = time.monotonic_ns() // 1000
            street.end()
            ended_us = time.monotonic_ns() // 1000
            records.wait(lambda r: max(map(end_us, r.of("traffic"))) > ended_us)
            code = site.stop()
            found = list(records.all())
            check = records.stop()
            log, passed = site.log.read_text(), len(street.passed)
        return Closed(found, passed, waiting, came_us, code, check, log)
    finally:
        site.close()
        broker.kill()
