"""The simulated chip keeps the kernel's rules, whatever its clients do."""

import errno
import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import gpiod
import pytest
from gpiod.line import Bias, Direction, Edge, Value
from hypothesis import given
from hypothesis import strategies as st

from drivers.buses.gpio import GpioChip, LineRequest, open_chip
from drivers.buses.gpio.remote_chip import RemoteChip
from drivers.sim.gpio import SimChip

BOTH = gpiod.LineSettings(direction=Direction.INPUT, edge_detection=Edge.BOTH)


class ChipClient:
    """A process's side of the chip; `close` is its end."""

    def __init__(self, chip: GpioChip) -> None:
        self.chip = chip
        self._requests: list[LineRequest] = []

    def request(
        self, line: int, settings: gpiod.LineSettings = BOTH, buffer: int = 16, consumer: str = "me"
    ) -> LineRequest:
        request = self.chip.request_lines({line: settings}, consumer, buffer)
        self._requests.append(request)
        return request

    def close(self) -> None:
        for request in self._requests:
            request.release()
        self.chip.close()


@pytest.fixture(params=["here", "socket"])
def wires(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SimChip, ChipClient]]:
    path = tmp_path / "gpio.sock" if request.param == "socket" else None
    with SimChip(["A", "B", ""], path) as sim:
        chip = RemoteChip(sim.connect) if path is None else open_chip(f"sim:{path}")
        with closing(ChipClient(chip)) as client:
            yield sim, client


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[SimChip, ChipClient]]:
    """Over the socket, with a clock."""
    path = tmp_path / "gpio.sock"
    with (
        SimChip(["A", "B"], path, clock_ns=time.monotonic_ns) as sim,
        closing(ChipClient(open_chip(f"sim:{path}"))) as client,
    ):
        yield sim, client


def readable(fd: int, timeout_s: float = 0.0) -> bool:
    return bool(select.select([fd], [], [], timeout_s)[0])


def test_the_chip_tells_its_lines(wires: tuple[SimChip, ChipClient]) -> None:
    _, client = wires
    assert client.chip.get_info().num_lines == 3
    assert [client.chip.get_line_info(i).name for i in range(3)] == ["A", "B", ""]
    with pytest.raises(OSError, match="Invalid") as caught:
        client.chip.get_line_info(3)
    assert caught.value.errno == errno.EINVAL


def test_events_are_those_of_gpiod_and_the_descriptor_says_when(
    wires: tuple[SimChip, ChipClient],
) -> None:
    sim, client = wires
    request = client.request(0)
    assert not request.wait_edge_events(0)
    sim.drive("A", True, 5)
    sim.drive("A", True, 6)  # the same level is no edge
    sim.drive("A", False, 7)
    assert request.wait_edge_events(timedelta(seconds=1))
    assert readable(request.fd)
    events = request.read_edge_events(1)
    assert isinstance(events[0], gpiod.EdgeEvent)
    assert request.wait_edge_events(1.0)  # one is left
    events += request.read_edge_events()
    assert [(e.event_type.name, e.timestamp_ns, e.line_offset, e.line_seqno) for e in events] == [
        ("RISING_EDGE", 5, 0, 1),
        ("FALLING_EDGE", 7, 0, 2),
    ]
    assert not readable(request.fd)
    assert request.read_edge_events() == []


def test_an_edge_before_the_level_was_read_is_known_at_once(
    wires: tuple[SimChip, ChipClient],
) -> None:
    """A bus looks without waiting, to tell the level at opening from the edges after it."""
    sim, client = wires
    for i in range(100):
        request = client.request(0)
        sim.drive(0, i % 2 == 0, i)
        request.get_value(0)
        assert request.wait_edge_events(0)
        assert len(request.read_edge_events()) == 1
        assert not request.wait_edge_events(0)
        request.release()


def test_reading_the_level_does_not_swallow_the_news_of_an_edge(
    wires: tuple[SimChip, ChipClient],
) -> None:
    sim, client = wires
    request = client.request(0)
    sim.drive(0, True, 1)
    assert request.wait_edge_events(1.0)
    assert request.get_value(0) is Value.ACTIVE
    assert request.wait_edge_events(1.0)
    assert len(request.read_edge_events()) == 1


@pytest.mark.parametrize(
    ("asked", "kept"), [(0, 16), (16, 16), (17, 32), (1024, 1024), (9999, 1024)]
)
def test_a_full_buffer_drops_the_oldest(
    wires: tuple[SimChip, ChipClient], asked: int, kept: int
) -> None:
    sim, client = wires
    request = client.request(0, buffer=asked)
    for i in range(kept + 3):
        sim.drive(0, i % 2 == 0, i)
    assert sim.waiting() == kept
    events = request.read_edge_events()
    assert [e.line_seqno for e in events] == list(range(4, kept + 4))
    assert sim.wait_read(0, 1.0)


def test_numbers_go_on_over_a_reconfiguration_and_start_anew_with_a_request(
    wires: tuple[SimChip, ChipClient],
) -> None:
    sim, client = wires
    request = client.request(0)
    sim.drive(0, True, 1)
    falling = gpiod.LineSettings(direction=Direction.INPUT, edge_detection=Edge.FALLING)
    request.reconfigure_lines({0: falling})
    for i in range(2, 5):
        sim.drive(0, i % 2 == 1, i)
    seen = [(e.timestamp_ns, e.line_seqno) for e in request.read_edge_events()]
    assert seen == [(1, 1), (2, 2), (4, 3)]
    request.release()
    sim.drive(0, True, 5)  # nobody's
    request = client.request(0)
    sim.drive(0, False, 6)
    assert [(e.timestamp_ns, e.line_seqno) for e in request.read_edge_events()] == [(6, 1)]


def test_bias_is_what_an_open_wire_shows(wires: tuple[SimChip, ChipClient]) -> None:
    sim, client = wires
    up = gpiod.LineSettings(direction=Direction.INPUT, bias=Bias.PULL_UP)
    down = gpiod.LineSettings(direction=Direction.INPUT, bias=Bias.PULL_DOWN)
    request = client.request(1, up)
    assert request.get_value(1) is Value.ACTIVE
    request.reconfigure_lines({1: down})
    assert request.get_value(1) is Value.INACTIVE
    sim.drive(1, True, 1)
    assert request.get_value(1) is Value.ACTIVE
    with pytest.raises(OSError, match="not permitted"):
        request.set_value(1, Value.ACTIVE)


def test_debounce_ends_by_itself_with_a_clock(serving: tuple[SimChip, ChipClient]) -> None:
    sim, client = serving
    slow = gpiod.LineSettings(
        direction=Direction.INPUT,
        edge_detection=Edge.BOTH,
        debounce_period=timedelta(milliseconds=10),
    )
    request = client.request(0, slow)
    start_ns = time.monotonic_ns()
    for level in (True, False, True):
        sim.drive(0, level, start_ns)
    assert request.get_value(0) is Value.INACTIVE  # not yet
    assert request.wait_edge_events(3.0)
    assert time.monotonic_ns() >= start_ns + 10_000_000
    assert [e.timestamp_ns for e in request.read_edge_events()] == [start_ns + 10_000_000]
    assert request.get_value(0) is Value.ACTIVE


def test_a_line_is_requested_once(wires: tuple[SimChip, ChipClient]) -> None:
    sim, client = wires
    first = client.request(0, consumer="first")
    for _ in range(3):
        with pytest.raises(OSError, match="busy") as caught:
            client.request(0, consumer="second")
        assert caught.value.errno == errno.EBUSY
    info = client.chip.get_line_info(0)
    assert (info.used, info.consumer) == (True, "first")
    first.release()
    with pytest.raises(gpiod.RequestReleasedError):
        first.get_value(0)
    assert sim.wait_requested([1], 0.01) is False
    client.request(0, consumer="second")
    assert sim.wait_requested(["A"], 1.0)
    assert sim.consumer("A") == "second"


def test_a_client_that_hung_up_holds_nothing(serving: tuple[SimChip, ChipClient]) -> None:
    """Its end and the next request may come in one wake-up of the simulator, in any order."""
    _, client = serving
    for _ in range(200):
        client.request(0).release()


def test_a_simulator_that_ends_is_a_device_that_is_gone(
    serving: tuple[SimChip, ChipClient],
) -> None:
    sim, client = serving
    request = client.request(0)
    sim.close()
    assert readable(request.fd, 1.0)
    for use in (request.read_edge_events, client.chip.get_info):
        with pytest.raises(OSError, match="gone") as caught:
            use()
        assert caught.value.errno == errno.ENODEV
    sim.close()


class Script:
    """A link whose other side says what it is told to."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = [b'{"label": "x", "lines": 1}', *answers]

    def fileno(self) -> int:
        return -1

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, size: int) -> bytes:
        return self.answers.pop(0)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("answer", [b"[]", b"E", b"\xff", b"{", b"1", b'"a"', b"{}"])
def test_an_answer_that_makes_no_sense_is_a_protocol_error(answer: bytes) -> None:
    chip = RemoteChip(lambda: Script(answer))
    chip.get_info()
    with pytest.raises(OSError, match="as agreed") as caught:
        chip.get_info()
    assert caught.value.errno == errno.EPROTO


@pytest.mark.parametrize("answer", [b"{}", b"E1234", b"e" + bytes(17)])
def test_edges_that_make_no_sense_are_a_protocol_error(answer: bytes) -> None:
    links = [Script(), Script(answer)]
    links[1].answers[0] = b"{}"  # the answer to the request
    chip = RemoteChip(lambda: links.pop(0))
    request = chip.request_lines({0: BOTH}, "me", 16)
    with pytest.raises(OSError, match="as agreed"):
        request.read_edge_events()


def rude(path: Path, *packets: bytes) -> list[bytes]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(3)
        sock.connect(str(path))
        answers = []
        for packet in packets:
            sock.send(packet)
            answers.append(sock.recv(65_536))
        return answers


SETTINGS = {"direction": "input", "bias": "none", "edges": "both", "debounce_ns": 0, "level": 0}
REQUEST = {"do": "request", "line": 0, "consumer": "x", "buffer": 16, "settings": SETTINGS}


def test_rude_clients_are_answered_with_an_error_and_harm_nobody(
    serving: tuple[SimChip, ChipClient],
) -> None:
    sim, client = serving
    assert sim.path is not None
    request = client.request(1)
    bad = [
        b"\x00",
        b"[" * 20_000,
        b"[]",
        b"{}",
        b'{"do": "read", "max": 1}',
        json.dumps(REQUEST | {"line": 2}).encode(),
        json.dumps(REQUEST | {"line": -1}).encode(),
        json.dumps(REQUEST | {"settings": 5}).encode(),
        json.dumps(REQUEST | {"settings": {}}).encode(),
    ]
    for key, value in (
        ("direction", []),
        ("bias", "left"),
        ("edges", {}),
        ("debounce_ns", -1),
        ("debounce_ns", float("inf")),
        ("debounce_ns", 10**30),
        ("direction", "output"),  # with edges
    ):
        bad.append(json.dumps(REQUEST | {"settings": SETTINGS | {key: value}}).encode())
    assert {json.loads(a)["errno"] for a in rude(sim.path, *bad)} == {errno.EINVAL}
    good = json.dumps(REQUEST).encode()
    answers = rude(sim.path, good, good, b'{"do": "read", "max": -5}', b'{"do": "set", "level": 1}')
    assert [answers[0], answers[2]] == [b"{}", b"E"]
    assert [json.loads(answers[i])["errno"] for i in (1, 3)] == [errno.EINVAL, errno.EPERM]
    sim.drive(1, True, 9)
    assert [e.timestamp_ns for e in request.read_edge_events()] == [9]


def ask_for_ever(sock: socket.socket) -> None:
    for _ in range(100_000):
        sock.send(b'{"do": "chip"}')


def test_a_client_that_asks_and_never_listens_is_dropped(
    serving: tuple[SimChip, ChipClient],
) -> None:
    sim, client = serving
    assert sim.path is not None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(3)
        sock.connect(str(sim.path))
        sock.send(json.dumps(REQUEST).encode())
        assert sim.wait_requested([0])
        with pytest.raises(BrokenPipeError):
            ask_for_ever(sock)
        client.request(0)


@given(st.binary(max_size=60))
def test_no_packet_harms_the_simulator(packet: bytes) -> None:
    sim = SimChip(["A"])
    with closing(sim), closing(sim.connect()) as link:
        link.send(packet)
        assert json.loads(link.recv(65_536)) == {"errno": errno.EINVAL}


def test_a_socket_that_is_served_is_not_taken_away_and_a_dead_one_is(tmp_path: Path) -> None:
    path = tmp_path / "gpio.sock"
    with SimChip(["A"], path):
        other = SimChip(["B"], path)
        with pytest.raises(OSError, match="in use"):
            other.start()
        other.close()
        with closing(ChipClient(open_chip(f"sim:{path}"))) as client:
            assert client.chip.get_line_info(0).name == "A"
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    dead.bind(str(path))
    dead.close()  # as a killed process leaves it
    with SimChip(["C"], path), closing(ChipClient(open_chip(f"sim:{path}"))) as client:
        assert client.chip.get_line_info(0).name == "C"
