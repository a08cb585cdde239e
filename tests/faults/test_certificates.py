"""Certificates that have ended, have not begun, were revoked; a list of those that has ended.

A real broker that asks for certificates. What it refuses waits in the outbox, and goes when it can.
"""

import datetime
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from edge.uplink.broker import Broker, make_broker
from tests.kit.broker import Make, Subscriber
from tests.kit.certificates import CertificateAuthority
from tests.kit.uplink import GW, box, drafts
from tests.kit.waiting import until

DAYS = {"expired": (-9.0, -1.0), "not_begun": (1.0, 9.0), "revoked": (-1.0, 2.0)}


def write_list(
    authority: CertificateAuthority, path: Path, revoked: Sequence[Path], days: tuple[float, float]
) -> None:
    """A list of revoked certificates that is valid from and to, in days from now."""
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority._name)
        .last_update(now + datetime.timedelta(days=days[0]))
        .next_update(now + datetime.timedelta(days=days[1]))
    )
    for one in revoked:
        serial = x509.load_pem_x509_certificate(one.read_bytes()).serial_number
        made = made.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        )
    signed = made.sign(authority._key, hashes.SHA256())
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


class RevokingBroker:
    """An authority and a broker that lets in whom the authority knows."""

    def __init__(self, mosquitto: Make, folder: Path) -> None:
        self.folder, self.authority = folder, CertificateAuthority(folder)
        cert, key = self.authority.issue("server")
        self.list = folder / "crl.pem"
        write_list(self.authority, self.list, [], (-1, 7))
        self.broker = mosquitto(
            f"allow_anonymous true\ncafile {self.authority.path}\ncertfile {cert}\nkeyfile {key}\n"
            f"require_certificate true\nuse_identity_as_username true\ncrlfile {self.list}\n"
        )

    def place(self, cert: Path, key: Path) -> Broker:
        url = self.broker.url.replace("mqtt:", "mqtts:")
        return make_broker(url, GW, ca=self.authority.path, cert=cert, key=key)

    def publish(self, revoked: Sequence[Path], days: tuple[float, float] = (-1, 7)) -> None:
        """A new list; the broker has read it."""
        write_list(self.authority, self.list, revoked, days)
        self.wait_for(r" running\b")  # before, a SIGHUP would end it
        before = len(re.findall("Reloading config", self.broker.log))
        self.broker.send(signal.SIGHUP)
        self.wait_for("Reloading config", before + 1)
        time.sleep(0.2)  # it says so before it does it

    def wait_for(self, said: str, times: int = 1) -> None:
        end = time.monotonic() + 60
        while len(re.findall(said, self.broker.log)) < times:
            assert time.monotonic() < end, f"the broker does not say {said}:\n{self.broker.log}"
            time.sleep(0.02)

    def listener(self, cert: Path, key: Path) -> Subscriber:
        return Subscriber(
            self.broker, "kerbstone/v1/+/+/up/air/#", "--cafile", str(self.authority.path),
            "--cert", str(cert), "--key", str(key),
        )  # fmt: skip


@pytest.mark.parametrize("why", DAYS)
async def test_a_certificate_that_does_not_count_is_refused_and_another_one_sends_all(
    mosquitto: Make, tmp_path: Path, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Both sides see it: nothing is let in, sampling goes on, the reason is said once."""
    city = RevokingBroker(mosquitto, tmp_path)
    cert, key = city.authority.issue("gw-old", days=DAYS[why])
    if why == "revoked":
        city.publish([cert])
    listener = city.listener(*city.authority.issue("listener"))
    async with box(tmp_path, city.place(cert, key)) as gateway:
        gateway.connect()
        for turn in range(1, 4):
            await gateway.commit(drafts(turn * 10, 10))
            await until(lambda turn=turn: gateway.sender.counts.connection_failures >= turn)  # type: ignore[misc]
        assert (gateway.sender.counts.connections, gateway.sender.counts.sent) == (0, 0)
        assert (await gateway.writer.counts()).rows == 30
        await gateway.disconnect()
    said = [r.message for r in caplog.records if r.name == "kerbstone.uplink"]
    assert len(said) <= 2, "each cause once"
    assert "certificate" in said[0]
    async with box(tmp_path, city.place(*city.authority.issue("gw-new"))) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.counts.confirmed == 30)
    assert len(listener.stop(30)) == 30


async def test_a_list_of_revoked_ones_that_has_ended_locks_all_out_and_life_goes_on(
    mosquitto: Make, tmp_path: Path
) -> None:
    """The broker's mistake: good certificates are refused until the list is renewed."""
    city = RevokingBroker(mosquitto, tmp_path)
    gateways = [city.place(*city.authority.issue(f"gw-{number}")) for number in range(3)]
    city.publish([], days=(-9, -1))
    for number, place in enumerate(gateways):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with box(folder, place) as gateway:
            gateway.connect()
            await gateway.commit(drafts(0, 5))
            await until(lambda: gateway.sender.counts.connection_failures >= 1)
            await gateway.commit(drafts(5, 5))
            assert gateway.sender.counts.connections == 0
            assert (await gateway.writer.counts()).rows == 10
            if number == len(gateways) - 1:
                city.publish([])
                await until(lambda: gateway.sender.counts.confirmed == 10)
