"""Each way in which a broker is not reached has a remedy of its own, with real brokers."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.health.issuekinds import ISSUE_KINDS
from edge.uplink.broker import make_broker
from edge.uplink.connectfailure import (
    CODES,
    REMEDIES,
    FailureClass,
    expired_error,
    failure_class,
    failure_remedy,
    not_yet_error,
)
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError, MqttConnection
from tests.kit.broker import Mosquitto, free_port
from tests.kit.certificates import CertificateAuthority

Started = Callable[..., Mosquitto]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A mosquitto with TLS, or without."""
    made: list[Mosquitto] = []

    def start(conf: str, **tls: Path) -> Mosquitto:
        words = "".join(f"{key} {path}\n" for key, path in tls.items())
        made.append(Mosquitto(tmp_path / f"broker{len(made)}", conf + words).start())
        return made[-1]

    yield start
    for each in made:
        each.kill()


async def failure(url: str, **options: Any) -> Exception:
    try:
        link = await MqttConnection.open(
            make_broker(url, "gw-1", **options),
            will=None, on_answer=lambda *_: None, on_lost=lambda _: None,
        )  # fmt: skip
    except (OSError, BrokerRefusedError) as error:
        return error
    await link.close()
    raise AssertionError("it was let in")


def secure(started: Started, cert: Path, key: Path, **more: Path) -> Mosquitto:
    return started("allow_anonymous true\n", certfile=cert, keyfile=key, **more)


async def test_six_faults_of_a_broker_have_six_remedies(started: Started, tmp_path: Path) -> None:
    ours, theirs = CertificateAuthority(tmp_path), CertificateAuthority(tmp_path, "theirs")
    right = ours.issue("right")
    password = tmp_path / "users"
    password.write_text("gw-1:$7$101$AAAAAAAAAAAAAAAA$" + "A" * 86 + "==\n")
    users = started("allow_anonymous false\n", password_file=password)
    tls = secure(started, *right)
    foreign = secure(started, *theirs.issue("foreign"))
    other = secure(started, *ours.issue("other", host="broker.example"))
    ended = secure(started, *ours.issue("ended", days=(-3, -1)))
    young = secure(started, *ours.issue("young", days=(1, 3)))
    port = free_port()
    found = {
        "password": await failure(users.url, username="gw-1", password="wrong"),
        "authority": await failure(secured(foreign), ca=ours.path),
        "name": await failure(secured(other), ca=ours.path),
        "date": await failure(secured(ended), ca=ours.path),
        "date to come": await failure(secured(young), ca=ours.path),
        "port": await failure(f"mqtt://127.0.0.1:{port}"),
        "plain port": await failure(f"mqtts://127.0.0.1:{users.port}", ca=ours.path),
        "tls port": await failure(f"mqtt://127.0.0.1:{tls.port}"),
    }
    plain = ("password", "port", "tls port")
    assert {what: failure_class(error, tls=what not in plain) for what, error in found.items()} == {
        "password": "right",  # mosquitto says 135, as for a right that lacks
        "authority": "authority",
        "name": "host_name",
        "date": "dates",
        "date to come": "not_yet",
        "port": "port",
        "plain port": "plain",
        "tls port": "dropped",
    }
    remedies = {failure_remedy(error, tls=what not in plain) for what, error in found.items()}
    assert len(remedies | {ISSUE_KINDS["broker_denies"].remedy}) == len(found) + 1


def secured(broker: Mosquitto) -> str:
    return f"mqtts://127.0.0.1:{broker.port}"


async def test_a_certificate_that_the_broker_does_not_take_is_ours(
    started: Started, tmp_path: Path
) -> None:
    ours, theirs = CertificateAuthority(tmp_path), CertificateAuthority(tmp_path, "theirs")
    cert, key = ours.issue("server")
    broker = started(
        "allow_anonymous true\nrequire_certificate true\n",
        certfile=cert, keyfile=key, cafile=ours.path,
    )  # fmt: skip
    own = theirs.issue("gw-1")
    error = await failure(secured(broker), ca=ours.path, cert=own[0], key=own[1])
    assert failure_class(error) == "own_certificate"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name"),
        (TimeoutError("no answer from mqtt://b within 20 s"), "network"),
        (OSError(113, "No route to host"), "network"),
        (ConnectionError("the proxy refuses a connection to b:8883: 403"), "proxy"),
        (ConnectionLostError("connection: Unspecified error"), "dropped"),
        (ssl.SSLError(1, "no protocols available"), "tls"),
        (expired_error("the broker's certificate expired on X"), "dates"),
        (not_yet_error("the broker's certificate is valid only from X"), "not_yet"),
        *((BrokerRefusedError(code, "so"), word) for code, word in CODES.items()),
        (BrokerRefusedError(157, "Server moved"), "refused"),
    ],
)
def test_the_class_of_each(error: Exception, expected: FailureClass) -> None:
    assert failure_class(error) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [(9, "not_yet"), (10, "dates"), (20, "authority"), (62, "host_name"), (64, "host_name"),
     (23, "certificate"), (66, "certificate"), (85, "certificate")],
)  # fmt: skip
def test_a_certificate_that_is_wrong_in_another_way_is_no_matter_of_dates(
    code: int, expected: FailureClass
) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    assert failure_class(error, tls=True) == expected


def test_through_a_proxy_it_is_the_proxy_that_is_not_found() -> None:
    for error in (
        socket.gaierror(-2, "Name or service not known"),
        ConnectionRefusedError(111, "Connection refused"),
    ):
        assert failure_class(error, tls=True, proxy=True) == "proxy"


def test_an_alert_within_the_handshake_is_about_our_certificate() -> None:
    for alert in ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "TLSV1_ALERT_UNKNOWN_CA"):
        error = ssl.SSLError(1, f"[SSL: {alert}] alert (_ssl.c:1006)")
        assert failure_class(error, tls=True) == "own_certificate"
    assert failure_class(ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] x")) == "tls"


def test_who_hangs_up_behind_tls_does_not_want_tls() -> None:
    error = ConnectionLostError("the broker closed the connection at once")
    assert failure_class(error, tls=True) == "hung_up"


def test_each_class_says_something_else() -> None:
    assert len(set(REMEDIES.values())) == len(REMEDIES)
    assert all(text[0].isupper() and text.endswith(".") for text in REMEDIES.values())
