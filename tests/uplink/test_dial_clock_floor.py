"""TLS on a box whose clock is wrong: dated by the last time that has certainly passed."""

import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge.uplink.broker import Broker, make_broker
from tests.kit.broker import Make
from tests.kit.caller import Caller
from tests.kit.certificates import CertificateAuthority

DAY_NS = 86_400 * 1_000_000_000


def now(days: float = 0.0) -> int:
    return time.time_ns() + int(days * DAY_NS)


def serve(
    mosquitto: Make, authority: CertificateAuthority, host: str, days: tuple[float, float]
) -> Broker:
    cert, key = authority.issue(f"server{days[0]}{host}", host=host, days=days)
    broker = mosquitto(f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
    return make_broker(broker.url.replace("mqtt:", "mqtts:"), "gw", ca=authority.path)


async def try_with(broker: Broker, floor_ns: int | None) -> int | None:
    link = await Caller().open(replace(broker, floor_ns=lambda: floor_ns))
    await link.close()
    return link.session.not_before_ns


async def test_a_clock_that_is_behind_does_not_lock_the_box_out(
    mosquitto: Make, tmp_path: Path
) -> None:
    """The authority and the server begin tomorrow, by this machine's clock."""
    authority = CertificateAuthority(tmp_path, days=(1, 40))
    broker = serve(mosquitto, authority, "127.0.0.1", (2, 30))
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        await try_with(broker, None)
    begins = await try_with(broker, now(3))
    assert begins is not None
    assert abs(begins - now(2)) < 600 * 1_000_000_000
    # the floor may be older than the certificate: the box slept while it was renewed
    assert await try_with(broker, now(-100)) == begins
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        await try_with(broker, None)  # the exception was for those connections only


async def test_a_certificate_that_ended_before_the_floor_is_refused(
    mosquitto: Make, tmp_path: Path
) -> None:
    """By this machine's clock, which is behind, it would be good."""
    broker = serve(mosquitto, CertificateAuthority(tmp_path), "127.0.0.1", (-1, 2))
    assert await try_with(broker, None) is not None
    with pytest.raises(ssl.SSLCertVerificationError, match=r"expired on .* before the last known"):
        await try_with(broker, now(3))


async def test_a_certificate_from_a_far_future_is_refused(mosquitto: Make, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, days=(-1, 9000))
    broker = serve(mosquitto, authority, "127.0.0.1", (11 * 365.25, 8000))
    with pytest.raises(ssl.SSLCertVerificationError, match="10 years after"):
        await try_with(broker, now())
    assert await try_with(broker, now(2 * 365)) is not None


async def test_without_the_clock_the_name_and_the_authority_still_count(
    mosquitto: Make, tmp_path: Path
) -> None:
    authority = CertificateAuthority(tmp_path)
    broker = serve(mosquitto, authority, "other.example", (-1, 2))
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        await try_with(broker, now())
    stranger = CertificateAuthority(tmp_path, "stranger")
    cheat = serve(mosquitto, stranger, "127.0.0.1", (-1, 2))
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        await try_with(replace(cheat, tls=broker.tls), now())


async def test_a_plain_connection_teaches_no_time(mosquitto: Make) -> None:
    assert await try_with(make_broker(mosquitto().url, "gw"), now()) is None
