"""One CA for all: enrolment server, box and broker as processes, from a claim to a refusal."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from deploy.broker import start
from edge.identity.statefolder import StateFolder
from tests.kit.broker import BINARY, SUBSCRIBER
from tests.kit.citybroker import CONNECT, TlsListener
from tests.kit.command import Command, kerbstone
from tests.kit.forged import Pair
from tests.kit.waiting import wait_until

__all__ = ["kerbstone"]  # the fixture

ROOT = Path(__file__).parents[2]
PUBLISHER = SUBSCRIBER.replace("mosquitto_sub", "mosquitto_pub")
TOPIC = "kerbstone/v1/s17/gw-17/up/event"
SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n[uplink]\nurl = "mqtts://localhost:8883"\n'
pytestmark = pytest.mark.skipif(
    not Path(BINARY).exists() or not Path(PUBLISHER).exists(),
    reason="needs mosquitto and mosquitto-clients",
)


@contextmanager
def process(log: Path, *words: object) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        command = [sys.executable, *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        made = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=ROOT)
    try:
        yield made
    finally:
        made.kill()
        made.wait(60)


def two_ports() -> int:
    """The first of two that are free, one after the other."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


class OperatorRun:
    """The operator's desk, and what it has started."""

    def __init__(self, folder: Path, run: Command, stack: ExitStack) -> None:
        self.folder, self._run, self._stack = folder, run, stack
        self.home, self.state, self.card = folder / "home", folder / "box", folder / "card"
        self.broker = folder / "broker"
        self.port = two_ports()
        self.act("ca", "--host", "localhost")
        words = ("-m", "edge.cli.main", "provision", "serve", "--listen", "127.0.0.1:0")
        self.start("server", *words, "--dir", self.home)
        wait_until(lambda: "listening, port" in self.log("server"), "the server does not listen")

    def start(self, name: str, *words: object) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(process(self.folder / f"{name}.log", *words))

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def act(self, act: str, *words: object, home: bool = True) -> str:
        """An operator's command."""
        more = ("--dir", self.home) if home else ()
        said = self._run("provision", act, *words, *more)
        assert said.code == 0, said.err
        return said.out

    def claim(self) -> None:
        found = re.search(r"listening, port (\d+)", self.log("server"))
        assert found
        key = ("--key", self.home / "operator.key")
        self.act("new", "--site", "s17", "--role", "crossing", "--gateway", "gw-17",
                 "--enrol", f"https://localhost:{found[1]}", "--broker",
                 f"mqtts://localhost:{self.port}", "--ca", self.home / "ca.pem", *key,
                 "--out", self.card, home=False)  # fmt: skip
        site = self.folder / "site.toml"
        site.write_text(SITE)
        out = ("--out", self.home / "configs")
        self.act("config", site, "--gateway", "gw-17", *key, *out, home=False)

    def enrol(self) -> Pair:
        """The box asks, is killed while it waits, and asks again once it is approved."""
        words = ("-m", "edge.identity.main", "run", "--state", self.state, "--boot", self.card)
        first = self.start("first", *words)
        status = self.card / "kerbstone-status.txt"
        wait_until(
            lambda: status.exists() and "approval" in status.read_text(), "the box asks nothing"
        )
        first.kill()
        found = re.search(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}\b", status.read_text())
        assert found
        self.act("approve", "gw-17", "--code", found[0])
        assert self.start("second", *words).wait(60) == 0, self.log("second")
        bundle = StateFolder(self.state).current()
        assert bundle is not None
        assert bundle.ca == (self.broker / "ca.crt").read_bytes()
        return bundle.cert, bundle.key

    def start_broker(self) -> subprocess.Popen[bytes]:
        script = ROOT / "deploy/broker/start.py"
        made = self.start("broker", script, self.broker, "--port", self.port,
                          "--provision", self.home)  # fmt: skip
        wait_until(lambda: "running" in self.log("broker"), "the broker does not start")
        return made

    def client(self, program: str, pair: Pair, port: int, *words: str) -> list[str]:
        cert, key = pair
        tls = ("--cafile", self.broker / "ca.crt", "--cert", cert, "--key", key)
        place = ("-h", "127.0.0.1", "-p", port, "-V", "5", "-q", "1")
        return [str(word) for word in (program, *place, *tls, *words)]

    def reload(self, broker: subprocess.Popen[bytes]) -> None:
        before = self.log("broker").count("Reloading config")
        broker.send_signal(signal.SIGHUP)
        wait_until(
            lambda: self.log("broker").count("Reloading config") > before, "it does not reload"
        )


@pytest.fixture
def city(tmp_path: Path, kerbstone: Command) -> Iterator[OperatorRun]:
    with ExitStack() as stack:
        yield OperatorRun(tmp_path, kerbstone, stack)


def test_a_box_enrols_publishes_and_is_refused_once_it_is_revoked(city: OperatorRun) -> None:
    city.claim()
    broker = city.start_broker()
    box = city.enrol()
    platform = city.broker / "platform.crt", city.broker / "platform.key"
    listen = city.client(
        SUBSCRIBER, platform, city.port + 1, "-t", "kerbstone/v1/+/+/up/#", "-C", "1"
    )
    publish = city.client(PUBLISHER, box, city.port, "-t", TOPIC, "-m", "from the wall")
    with subprocess.Popen(listen, stdout=subprocess.PIPE) as subscriber:

        def heard() -> bool:
            subprocess.run(publish, check=True, timeout=60)
            return subscriber.poll() is not None

        wait_until(heard, "the platform hears nothing")
        assert subscriber.stdout
        assert subscriber.stdout.read() == b"from the wall\n"

    boxes, platforms = TlsListener(city.broker, city.port), TlsListener(city.broker, city.port + 1)
    assert boxes.answer(box) == "connack 0"
    city.act("revoke", "gw-17", "--reason", "keyCompromise")
    city.act("broker", "broker-loopback", "--out", city.broker)
    city.reload(broker)
    assert boxes.answer(box) == "SSLV3_ALERT_CERTIFICATE_REVOKED"
    assert platforms.answer(platform) == "connack 0"


def test_a_broker_takes_its_renewed_certificate_when_it_is_told(city: OperatorRun) -> None:
    broker, desk = city.start_broker(), city.folder / "desk"
    desk.mkdir()
    words = ("broker", "broker-loopback", "--ip", "127.0.0.1", "--out", desk, "--json")
    said = json.loads(city.act("issue", *words))
    assert f"{_serial(city):x}" != said["serial"]
    platform = city.broker / "platform.crt", city.broker / "platform.key"
    context = TlsListener(city.broker, city.port).context(platform)
    plain = socket.create_connection(("127.0.0.1", city.port + 1), 30)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as session:
        session.sendall(CONNECT)
        assert session.recv(64)[:1] == b"\x20"  # CONNACK
        key = desk / "broker-loopback.key"
        city.act("broker", "broker-loopback", "--out", city.broker, "--key", key)
        city.reload(broker)
        session.sendall(b"\xc0\x00")
        assert session.recv(64) == b"\xd0\x00", "a session goes on: PINGREQ, PINGRESP"
    assert f"{_serial(city):x}" == said["serial"]


def test_a_second_start_of_the_broker_issues_nothing(city: OperatorRun) -> None:
    now = datetime.now(UTC)
    start.join(city.broker, city.home, now)
    before = {path.name: path.read_bytes() for path in city.broker.glob("[!.]*.*")}
    start.join(city.broker, city.home, now)
    after = {path.name: path.read_bytes() for path in city.broker.glob("[!.]*.*")}
    assert {name for name in before if before[name] != after[name]} == {"crl.pem"}


def test_a_folder_that_cannot_be_the_broker_s_is_exit_2(
    city: OperatorRun, capfd: pytest.CaptureFixture[str]
) -> None:
    none = str(city.folder / "none")
    assert start.main([str(city.broker), "--provision", none]) == 2
    assert none in capfd.readouterr().err
    inside = str(city.home / "broker")
    assert start.main([inside, "--provision", str(city.home)]) == 2
    assert "choose another" in capfd.readouterr().err


def _serial(city: OperatorRun) -> int:
    context = ssl.create_default_context(cafile=city.broker / "ca.crt")
    context.load_cert_chain(city.broker / "platform.crt", city.broker / "platform.key")
    with (
        socket.create_connection(("127.0.0.1", city.port), 30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as link,
    ):
        data = link.getpeercert(binary_form=True)
    assert data
    return x509.load_der_x509_certificate(data).serial_number
