"""A city on this machine, which the guest knows by its names: enrolment server, broker, a meter.

All by the commands that a city would use. One authority signs for boxes, broker and platform.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from deploy.broker import start
from drivers.meters.register_map import load_register_map
from drivers.sim.meter import MeterServer
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.typical import typical
from tests.image.names import Names

HOST: Final = "10.0.2.2"  # this machine, as the guest sees it
ENROL, BROKER, METER = (f"{each}.city.example" for each in ("enrol", "broker", "meter"))
WATCHER: Final = "platform-watch"
TOP: Final = Path(__file__).parents[2]
SITE: Final = """\
[site]
id = "s17"
gateway = "{gateway}"
zone = "Europe/Berlin"
period_s = {period}

[uplink]
url = "mqtts://{name}:{broker}"
confirm = "broker"
encoding = "json"

[streams]
health_s = 60

[bus.meters]
kind = "modbus-tcp"
host = "{host}"
port = {meter}
timeout_s = 5.0

[device.main_meter]
driver = "sdm630"
bus = "meters"
unit = 1
every_s = 2.0
"""


class ImageTown:
    """Built: keys and files are there. `open`: it answers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.home, self.desk, self.broker = folder / "enrol", folder / "desk", folder / "broker"
        self.enrol_port, self.broker_port = free_port(), free_port()
        self.platform_port, self.watch_port = free_port(), free_port()
        self.heard = folder / "heard"
        self._children: list[subprocess.Popen[bytes]] = []
        for each in (self.desk, self.broker):
            each.mkdir(mode=0o700)
        self.provision("ca", "--host", ENROL, "--host", "localhost", home=True)
        self.operator_key = self.desk / "operator.key"
        (self.home / "operator.key").rename(self.operator_key)
        (self.home / "configs").mkdir(exist_ok=True)
        hosts = ["--ip", "127.0.0.1", "--dns", BROKER, "--dns", "localhost"]
        self.provision("issue", "broker", "city", *hosts, "--out", str(self.desk), home=True)
        # the broker knows a program by its certificate: two with one would end each other's session
        for name in ("platform", WATCHER):
            self.provision("issue", "platform", name, "--out", str(self.desk), home=True)
        key = str(self.desk / "city.key")
        self.provision("broker", "city", "--out", str(self.broker), "--key", key, home=True)
        self._meter = MeterTcp(
            {
                1: MeterServer(
                    "sdm630",
                    typical(register.point for register in load_register_map("sdm630").registers),
                )
            }
        )
        self.meter_port = self._meter.port
        self.names = Names(dict.fromkeys((ENROL, BROKER, METER), HOST))
        # somebody else, who answers too
        self._other = socket.create_server(("127.0.0.1", 0))
        self.other_port: int = self._other.getsockname()[1]

    def provision(self, act: str, *words: str, home: bool = False) -> str:
        """`kerbstone provision`, as the operator types it."""
        command = [
            *kerbstone("provision", act, *words),
            *(["--dir", str(self.home)] if home else []),
        ]
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def open(self) -> None:
        listen = f"127.0.0.1:{self.enrol_port}"
        self._child(
            "serve", kerbstone("provision", "serve", "--dir", str(self.home), "--listen", listen)
        )
        conf = start.configure(self.broker, (self.broker_port, self.platform_port, self.watch_port))
        with (self.broker / "acl").open("a") as acl:  # where it says "add yours here"
            acl.write(f"\nuser {WATCHER}\n")
            acl.writelines(f"topic read city/kerbstone/v1/+/+/up/{end}\n" for end in ("+", "+/+"))
        binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") or "mosquitto"
        self._child("mosquitto", [binary, "-c", str(conf)])
        self._meter.start()
        for port in (self.enrol_port, self.broker_port, self.platform_port):
            _listening(port)
        own = self.desk / WATCHER
        pair = ["--cert", f"{own}.crt", "--key", f"{own}.key"]
        url = f"mqtts://localhost:{self.platform_port}"
        listen_to = kerbstone(
            "subscribe", "--broker", url, "--ca", str(self.home / "ca.pem"), *pair, "--json"
        )
        self._child("subscribe", listen_to, out=self.heard)

    def site_text(self, gateway: str, period: int) -> str:
        """Another site file for the same meter."""
        return SITE.format(
            host=METER, name=BROKER, gateway=gateway, broker=self.broker_port,
            meter=self._meter.port, period=period,
        )  # fmt: skip

    def sign_proposed(self, gateway: str) -> None:
        """As it was proposed, for the box to fetch."""
        site, key = str(self.home / f"proposals/{gateway}.toml"), str(self.operator_key)
        out = str(self.home / "configs")
        self.provision("config", site, "--gateway", gateway, "--key", key, "--out", out)

    def pending(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.provision("pending", "--json", home=True))[
            "pending"
        ]
        return rows

    def messages(self) -> list[dict[str, Any]]:
        """What has come to the platform, decoded."""
        found = []
        for line in (
            self.heard.read_text("utf-8", "replace").splitlines() if self.heard.exists() else []
        ):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # the last line is being written
        return found

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def close(self) -> None:
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._meter.stop()
        self._other.close()
        self.names.close()

    def _child(self, name: str, command: list[str], out: Path | None = None) -> None:
        with (
            (self.folder / f"{name}.log").open("ab") as log,
            (out or Path(os.devnull)).open("ab") as sink,
        ):
            env = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONUNBUFFERED": "1"}
            stdout = sink if out else log
            self._children.append(
                subprocess.Popen(command, cwd=TOP, env=env, stdout=stdout, stderr=log)
            )


def kerbstone(*words: str) -> list[str]:
    return [sys.executable, "-m", "edge.cli.main", *words]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


def _listening(port: int, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
