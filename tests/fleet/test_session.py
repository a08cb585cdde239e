"""A session against a broker that does what none should, and one that falls silent."""

import asyncio

import pytest

from edge.uplink.inflight import BrokerRefusedError, ConnectionLostError
from tests.fleet.serverside import CONNACK, Box, BrokerSide, records

STATUS = b"\x30\x05\x00\x01a\x00x"


@pytest.fixture
def box() -> Box:
    return Box(last=False)


class Lost:
    """Why a session ended."""

    def __init__(self, box: Box) -> None:
        self.errors: list[ConnectionLostError | BrokerRefusedError] = []
        self._heard = box.gateway.session_lost
        box.gateway.session_lost = self._hear  # type: ignore[method-assign]

    def _hear(self, error: ConnectionLostError | BrokerRefusedError) -> None:
        self.errors.append(error)
        self._heard(error)


def cut(side: BrokerSide) -> None:
    assert side.aborted
    side.session.connection_lost(None)


@pytest.mark.parametrize(
    "data",
    [
        CONNACK,
        b"\x90\x04\xff\xff\x00\x01",
        b"\x36\x07\x00\x01a\x00\x01\x00x",
        b"\xff\xff\xff\xff\xff",
    ],
    ids=["a second CONNACK", "a second SUBACK", "QoS 3", "noise"],
)
async def test_what_no_broker_may_say_ends_the_connection_and_nothing_is_lost(
    box: Box, data: bytes
) -> None:
    lost = Lost(box)
    side = box.connect()
    box.gateway.pass_minute()
    sent = records(side.published())
    side.session.data_received(data)
    cut(side)
    assert "not MQTT 5" in str(lost.errors[0])
    again = records(box.connect().take_all())
    assert {each.key for each in again} >= {each.key for each in sent}


async def test_a_message_before_the_connack_is_none(box: Box) -> None:
    lost = Lost(box)
    side = box.connect(STATUS)
    cut(side)
    assert "PUBLISH before CONNACK" in str(lost.errors[0])


@pytest.mark.parametrize(("connack", "code"), [
    (b"\x20\x03\x00\x87\x00", 135), (b"\x20\x05\x00\x00\x02\x24\x00", 155),
])  # fmt: skip
async def test_who_is_not_let_in_hears_the_code(box: Box, connack: bytes, code: int) -> None:
    lost = Lost(box)
    side = box.connect(connack)
    cut(side)
    assert isinstance(lost.errors[0], BrokerRefusedError)
    assert lost.errors[0].code == code
    assert side.session.begun.is_set()


async def test_a_goodbye_of_the_broker_has_its_code(box: Box) -> None:
    lost = Lost(box)
    side = box.connect()
    side.session.data_received(b"\xe0\x01\x8e")
    cut(side)
    assert isinstance(lost.errors[0], ConnectionLostError)
    assert lost.errors[0].code == 142


class Time:
    """The loop's clock, as the session sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now_s)

    def pass_(self, side: BrokerSide, seconds: int) -> list[tuple[int, bytes]]:
        found = []
        for _ in range(seconds):
            self.now_s += 1
            side.session.tick()
            found += side.packets()
        return found


async def test_a_silent_link_is_asked_and_then_given_up(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)
    side = box.connect()
    side.take_all()
    assert time.pass_(side, 20) == [(0xC0, b"")]
    side.session.data_received(b"\xd0\x00")
    time.pass_(side, 40)
    assert not side.aborted
    time.pass_(side, 10)
    assert side.aborted


@pytest.mark.parametrize("answer_s", [20.0, 60.0])
async def test_a_message_without_an_answer_ends_the_connection(
    box: Box, monkeypatch: pytest.MonkeyPatch, answer_s: float
) -> None:
    time = Time(monkeypatch)
    side = box.connect(answer_s=answer_s)
    side.take_all()
    box.gateway.pass_minute()
    assert side.published()
    for second in range(int(answer_s) + 10):
        assert not side.aborted or second > answer_s
        time.pass_(side, 1)
        side.session.data_received(b"\xd0\x00")  # it is alive, and answers nothing
    assert side.aborted


async def test_numbers_that_are_in_use_are_passed_over(box: Box) -> None:
    side = box.connect()
    side.take_all()
    box.gateway.pass_minute()
    waiting = side.published()[0].number
    side.session._last_id = waiting - 1
    assert side.session._next_id() > waiting
    side.session._last_id = 65_534
    assert side.session._next_id() == 1
