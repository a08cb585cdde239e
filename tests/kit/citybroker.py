"""A city's broker for one test: its PKI, and mosquitto with the configuration that ships.

An example:

    with running(tmp_path / "city") as city:
        broker = city.gateways.broker(city.gateway("gw-0001"), "gw-0001")
        city.revoke("gw-0001")
"""

import contextlib
import datetime
import select
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from cryptography import x509
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.broker import start
from edge.identity.names import PLATFORM
from edge.provision import pki
from edge.uplink.broker import Broker, make_broker
from tests.kit.broker import BINARY, free_port
from tests.kit.forged import Pair

UP, DOWN = "kerbstone/v1/mitte/{}/up/event", "kerbstone/v1/mitte/{}/down/receipt"
CONNECT = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03any"


class TlsListener:
    """Where a broker listens, and the authority of those it lets in."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def broker(self, pair: Pair, client_id: str) -> Broker:
        cert, key = pair
        url = f"mqtts://127.0.0.1:{self.port}"
        return make_broker(url, client_id, ca=self.folder / "ca.crt", cert=cert, key=key)

    def client(self, pair: Pair, name: str, *, fresh: bool = True) -> aiomqtt.Client:
        """A platform's client; its session stays for a day, unless it is `fresh`."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0 if fresh else 86_400
        return aiomqtt.Client(
            "127.0.0.1", self.port, identifier=name, protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=fresh, properties=properties, tls_context=self.context(pair), timeout=30,
        )  # fmt: skip

    def context(self, pair: Pair | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        if pair is not None:
            context.load_cert_chain(*pair)
        return context

    def answer(self, pair: Pair | None, context: ssl.SSLContext | None = None) -> str:
        """CONNACK's reason code, or the TLS alert, of one attempt to connect."""
        context = context or self.context(pair)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), 30) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as link,
            ):
                # a refusal comes after the client's handshake: what is sent into it resets it
                select.select([link], [], [], 1)
                link.setblocking(False)
                with contextlib.suppress(ssl.SSLWantReadError):
                    return "closed" if not link.recv(64) else "it spoke first"
                link.settimeout(30)
                link.sendall(CONNECT)
                read = link.recv(64)
                return f"connack {read[3]}" if read else "closed"
        except ssl.SSLError as error:
            return str(error.reason or error)
        except ConnectionError as error:
            return type(error).__name__


class CityBroker:
    """mosquitto with its listeners, and the PKI in the same folder."""

    def __init__(
        self, folder: Path, gateways: tuple[str, ...] = ("gw-0001", "gw-0002"),
        programs: tuple[str, ...] = (PLATFORM,),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.authority = pki.make_pki(folder, self.now, gateways=gateways, programs=programs)
        ports = free_port(), free_port(), free_port()
        self.gateways, self.platforms, self.watch = (TlsListener(folder, port) for port in ports)
        self._conf = start.configure(folder, ports)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def platform(self) -> Pair:
        return self.folder / "platform.crt", self.folder / "platform.key"

    def gateway(self, name: str) -> Pair:
        return self.folder / f"gateways/{name}.crt", self.folder / f"gateways/{name}.key"

    def start(self) -> "CityBroker":
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([BINARY, "-c", self._conf], stderr=log)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.platforms.port), 0.2).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"mosquitto did not start:\n{self.log}") from None
                time.sleep(0.02)

    def revoke(self, name: str) -> None:
        """Onto the list, and the broker reads it."""
        cert = x509.load_pem_x509_certificate(self.gateway(name)[0].read_bytes())
        self.authority.renew_list(self.now, [cert.serial_number])
        self.reload()

    def reload(self) -> None:
        """SIGHUP, until it has read the files again."""
        assert self._process is not None
        before = self.log.count("Reloading config")
        self._process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while self.log.count("Reloading config") == before:
            assert time.monotonic() < end, "it does not read its files again"
            time.sleep(0.01)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)


@contextlib.contextmanager
def running(folder: Path, *, programs: tuple[str, ...] = (PLATFORM,)) -> Iterator[CityBroker]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed")
    city = CityBroker(folder, programs=programs).start()
    try:
        yield city
    finally:
        city.stop()
