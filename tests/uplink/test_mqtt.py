"""One connection: windows, limits, TLS, and peers that say nothing."""

import asyncio
import signal
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.core import ConfigError
from edge.uplink.broker import make_broker
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError
from tests.kit.broker import Make, Mosquitto
from tests.kit.caller import Caller
from tests.kit.certificates import CertificateAuthority
from tests.kit.rawbroker import raw_broker
from tests.kit.waiting import until

TYPE = "application/json"


async def test_the_window_is_what_the_broker_announces(mosquitto: Make) -> None:
    broker = mosquitto("allow_anonymous true\nmax_inflight_messages 7\nmax_packet_size 500\n")
    caller = Caller()
    link = await caller.open(make_broker(broker.url, "a"))
    assert link.session.window == 7
    assert link.session.max_packet == 500
    broker.send(signal.SIGSTOP)
    sent = 0
    while link.room:
        assert link.publish(sent, "t", b"x", TYPE) is None
        sent += 1
    assert sent == 7
    broker.send(signal.SIGCONT)
    await until(lambda: len(caller.answers) == 7)
    assert {answer for _, answer in caller.answers} == {16}
    large = link.publish("large", "t", bytes(600), TYPE)
    assert isinstance(large, BrokerRefusedError)
    assert large.code == 149
    await link.close()
    assert link.room == 0
    assert caller.lost == []


async def test_a_message_that_does_not_fit_goes_out_with_the_answer_that_makes_room() -> None:
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "a"))
        broker.mute = True
        link._inflight._window._most_bytes = 8 << 10  # it does not grow
        for token in range(4):
            assert link.publish(token, "t", b"%d" % token + bytes(5000), TYPE) is None
        for number in range(1, 4):
            await until(lambda number=number: len(broker.published) == number)  # type: ignore[misc]
            assert link.room == 0
            await asyncio.sleep(0.02)
            assert len(broker.published) == number, "5 kB of 8 are in flight"
            await broker.send(bytes((0x40, 2, 0, number)))
        await until(lambda: len(broker.published) == 4)
        assert [payload[:1] for _, payload in broker.published] == [b"0", b"1", b"2", b"3"]
        assert [token for token, _ in caller.answers] == [0, 1, 2]
        await link.close()


async def test_after_the_goodbye_nothing_more_is_sent() -> None:
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "a"))
        for token in range(2):
            link.publish(token, "t", bytes(5000), TYPE)
        await link.close()
        assert [kind >> 4 for kind in broker.kinds] == [1, 3, 14]
        assert [token for token, _ in caller.answers] == [0, 1]
        assert isinstance(caller.answers[1][1], ConnectionLostError)


async def test_a_refusal_belongs_to_its_own_message(mosquitto: Make, tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic write ok/#\n")
    broker = mosquitto(f"allow_anonymous true\nacl_file {acl}\n")
    caller = Caller()
    link = await caller.open(make_broker(broker.url, "a"))
    for token, topic in enumerate(["ok/1", "denied/1", "ok/2"]):
        link.publish(token, topic, b"x", TYPE)
    await until(lambda: len(caller.answers) == 3)
    found = dict(caller.answers)
    assert (found[0], found[2]) == (16, 16)
    assert isinstance(found[1], BrokerRefusedError)
    assert found[1].code == 135
    await link.close()


async def test_what_is_unanswered_is_lost_with_the_connection(mosquitto: Make) -> None:
    broker = mosquitto()
    caller = Caller()
    link = await caller.open(make_broker(broker.url, "a"))
    broker.send(signal.SIGSTOP)
    for token in range(10):
        link.publish(token, "t", b"x", TYPE)
    await asyncio.sleep(0.05)
    broker.kill()
    await until(lambda: len(caller.answers) == 10)
    assert all(isinstance(answer, ConnectionLostError) for _, answer in caller.answers)
    assert len(caller.lost) == 1
    assert isinstance(link.publish(11, "t", b"x", TYPE), ConnectionLostError)
    await link.close()


async def test_what_comes_after_the_end_is_answered_with_the_reason_of_the_end() -> None:
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "a"))
        await broker.send(bytes((0xE0, 2, 0x8B, 0)))  # server shutting down
        await until(lambda: bool(caller.lost))
        assert link.publish("late", "t", b"x", TYPE) is caller.lost[0]
        assert caller.answers == []
        await link.close()


async def test_a_broker_that_stops_answering_is_noticed(mosquitto: Make) -> None:
    broker = mosquitto()
    caller = Caller()
    link = await caller.open(replace(make_broker(broker.url, "a"), answer_s=0.5))
    broker.send(signal.SIGSTOP)
    link.publish("x", "t", b"x", TYPE)
    await until(lambda: bool(caller.lost), 15)
    assert "no acknowledgement" in str(caller.lost[0])
    assert isinstance(caller.answers[0][1], ConnectionLostError)
    await link.close()


async def test_no_broker_and_no_entry_are_told_apart(mosquitto: Make) -> None:
    broker = mosquitto("allow_anonymous false\n")
    with pytest.raises(BrokerRefusedError) as refused:
        await Caller().open(make_broker(broker.url, "a"))
    assert refused.value.code == 135
    broker.kill()
    with pytest.raises(OSError, match="refused"):
        await Caller().open(make_broker(broker.url, "a"))


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
async def test_a_silent_listener_does_not_stop_the_loop(scheme: str) -> None:
    """It is left in time; and while it is waited for, others have their turn."""
    taken, over = list[asyncio.StreamWriter](), asyncio.Event()

    async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)
        await over.wait()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    broker = make_broker(f"{scheme}://127.0.0.1:{port}", "a")
    with pytest.raises(OSError):  # TimeoutError is one
        await Caller().open(replace(broker, connect_s=0.4))
    attempt = asyncio.create_task(Caller().open(replace(broker, connect_s=600.0)))
    await until(lambda: len(taken) == 2)
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert not attempt.done(), "the loop stood still until it was over"
    over.set()
    with pytest.raises(OSError):
        await attempt
    server.close()


async def test_garbage_from_the_broker_ends_the_connection(mosquitto: Make) -> None:
    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(bytes.fromhex("20 09 00 00 06 22 00 0a 21 00 14"))  # CONNACK, window 20
        await writer.drain()
        await reader.read(100)
        writer.write(bytes.fromhex("40 02 00") + bytes.fromhex("ff") * 30)
        await writer.drain()
        await asyncio.sleep(1)
        writer.close()

    server = await asyncio.start_server(hostile, "127.0.0.1", 0)
    caller = Caller()
    link = await caller.open(
        make_broker(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}", "a")
    )
    assert link.session.window == 20
    link.publish("x", "t", b"x", TYPE)
    await until(lambda: bool(caller.lost), 15)
    assert len(caller.answers) == 1
    await link.close()
    server.close()


@pytest.fixture
def secure(mosquitto: Make, tmp_path: Path) -> tuple[Mosquitto, CertificateAuthority]:
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("server")
    broker = mosquitto(
        f"cafile {authority.path}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n"
        "use_identity_as_username true\n"
    )
    return broker, authority


async def test_tls_with_a_client_certificate(
    secure: tuple[Mosquitto, CertificateAuthority],
) -> None:
    broker, authority = secure
    cert, key = authority.issue("gw-0001")
    url = broker.url.replace("mqtt:", "mqtts:")
    caller = Caller()
    link = await caller.open(make_broker(url, "a", ca=authority.path, cert=cert, key=key))
    for token in range(200):
        if not link.room:
            await until(lambda: link.room > 0)
        link.publish(token, "t", bytes(300), TYPE)
    await until(lambda: len(caller.answers) == 200)
    assert {answer for _, answer in caller.answers} == {16}
    await link.close()


async def test_wrong_certificates_are_errors(
    secure: tuple[Mosquitto, CertificateAuthority], tmp_path: Path
) -> None:
    broker, authority = secure
    url = broker.url.replace("mqtt:", "mqtts:")
    other = CertificateAuthority(tmp_path, "other")
    cert, key = other.issue("evil")
    with pytest.raises(OSError):
        await Caller().open(make_broker(url, "a", ca=authority.path, cert=cert, key=key))
    with pytest.raises(OSError):
        await Caller().open(make_broker(url, "a", ca=authority.path))
    good = authority.issue("gw")
    with pytest.raises(ssl.SSLCertVerificationError):
        await Caller().open(make_broker(url, "a", ca=other.path, cert=good[0], key=good[1]))


async def test_a_password_opens_the_door_and_is_never_shown(
    mosquitto: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import subprocess

    known = tmp_path / "known"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(known), "gw", "s3cret-word"],
        check=True, capture_output=True,
    )  # fmt: skip
    broker = mosquitto(f"allow_anonymous false\npassword_file {known}\n")
    caplog.set_level(0)
    chosen = make_broker(broker.url, "a", username="gw", password="s3cret-word")
    link = await Caller().open(chosen)
    await link.close()
    assert "s3cret" not in repr(chosen) + str(chosen) + caplog.text


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("http://x", {}, "mqtt://"),
        ("mqtt://", {}, "uplink.url: the name or address of the broker is missing"),
        ("mqtt://h:99999", {}, "[Pp]ort"),
        ("mqtt://u:p@h", {}, "username"),
        ("mqtt://h/topic", {}, "after the port"),
        ("mqtt://h", {"ca": Path("x")}, "mqtts"),
        ("mqtts://h", {"ca": Path("/no/such")}, "/no/such"),
        ("mqtts://h", {"key": Path("/no/such")}, "uplink.cert"),
        ("mqtt://h", {"password": "x"}, "uplink.username"),
    ],
)
def test_a_broker_that_cannot_work_is_a_configuration_error(
    url: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        make_broker(url, "a", **options)
