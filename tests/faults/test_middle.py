"""Somebody stands between the gateway and its broker, and shows a certificate of his own."""

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path

import pytest

from edge.uplink.broker import make_broker
from tests.kit.broker import Make
from tests.kit.certificates import CertificateAuthority
from tests.kit.uplink import GW, box, drafts
from tests.kit.waiting import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts need not take seconds."""
    monkeypatch.setattr("edge.uplink.reconnect.MAX_BACKOFF_S", 0.05)


class Middle:
    """A TLS server that is not ours, as a captive portal is: keeps all that it can decrypt."""

    def __init__(self, cert: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.knocks = 0
        self.heard = b""
        self.server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        # plain first: with start_server(ssl=...) a refused handshake would not be counted
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        found: int = self.server.sockets[0].getsockname()[1]
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.knocks += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await writer.start_tls(self.context, ssl_handshake_timeout=10)
            while data := await reader.read(4096):
                self.heard += data
        writer.close()


async def test_a_server_of_another_authority_is_told_nothing(
    mosquitto: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Right name, wrong authority. It hears no name, no password and no record."""
    caplog.set_level(logging.WARNING)
    ours, theirs = CertificateAuthority(tmp_path, "ours"), CertificateAuthority(tmp_path, "theirs")
    cert, key = ours.issue("server")
    broker = mosquitto(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    url = broker.url.replace("mqtt:", "mqtts:")
    broker.kill()
    middle = Middle(*theirs.issue("portal"))
    await middle.start(broker.port)
    assert middle.server is not None
    place = make_broker(url, GW, ca=ours.path, username="gw", password="do not tell")
    async with box(tmp_path, place) as gateway:
        await gateway.commit(drafts(0, 20))
        gateway.connect()
        await until(lambda: gateway.sender.counts.connection_failures >= 3)
        assert middle.knocks >= 3
        assert (gateway.sender.counts.sent, gateway.sender.counts.connections) == (0, 0)
        assert (await gateway.writer.counts()).rows == 20, "they wait"
        middle.server.close()
        broker.start()
        await until(lambda: gateway.sender.counts.confirmed == 20)
    assert middle.heard == b""
    reported = [r.message for r in caplog.records if "certificate" in r.message.lower()]
    assert len(reported) == 2, "said once as a cause, with the reason, and once as an alarm"


async def test_a_server_of_another_authority_is_an_alarm(tmp_path: Path) -> None:
    ours, theirs = CertificateAuthority(tmp_path, "ours"), CertificateAuthority(tmp_path, "theirs")
    middle = Middle(*theirs.issue("portal"))
    place = make_broker(f"mqtts://127.0.0.1:{await middle.start()}", GW, ca=ours.path)
    assert middle.server is not None
    async with box(tmp_path, place) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.counts.connection_failures >= 3)
        middle.server.close()
        assert [kind for kind, _ in gateway.alarms] == ["untrusted"], "once"
