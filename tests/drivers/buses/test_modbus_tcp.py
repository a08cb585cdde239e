"""The master of a TCP endpoint against simulated meters, and against peers that misbehave."""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.buses.modbus import ModbusTcp, responsetimeout, tcp
from drivers.buses.modbus.responsetimeout import ResponseTimeout
from drivers.sim.meter import MeterServer, MeterTcp, UnitFault
from edge.core import BusError, DataError, Reason
from tests.long import examples

VOLTS = {1: 230.5, 2: 111.25}
ENOUGH_S = 20.0  # for an answer that comes, on any machine
SHORT_S = 0.15  # for one that does not


@pytest.fixture
def server() -> Iterator[MeterTcp]:
    units = {
        u: MeterServer("sdm120", {"voltage_l1": v, "frequency": v / 2}) for u, v in VOLTS.items()
    }
    started = MeterTcp(units).start()
    yield started
    started.stop()


@pytest.fixture
def bus(server: MeterTcp) -> Iterator[ModbusTcp]:
    master = ModbusTcp(server.host, server.port, ENOUGH_S)
    yield master
    master.close()


async def read(bus: ModbusTcp, unit: int, address: int = 0) -> float:
    return float(struct.unpack(">f", await bus.read_registers(unit, 4, address, 2))[0])


@contextmanager
def impatient(bus: ModbusTcp, timeout_s: float = SHORT_S) -> Iterator[None]:
    """So long it waits in here, and afterwards for as long as it takes."""
    bus.response_timeout = ResponseTimeout(timeout_s)
    yield
    bus.response_timeout = ResponseTimeout(ENOUGH_S)


async def test_units_share_one_connection(server: MeterTcp, bus: ModbusTcp) -> None:
    assert [await read(bus, unit) for unit in (1, 2, 1)] == [230.5, 111.25, 230.5]
    assert server.connections == 1


async def test_a_silent_unit_is_a_bus_error_and_its_neighbours_go_on(
    server: MeterTcp, bus: ModbusTcp
) -> None:
    reported = []
    short = ResponseTimeout(SHORT_S)
    for _ in range(2):
        bus.response_timeout = short
        start = time.monotonic()
        with pytest.raises(BusError, match=r"unit 9 at .* no answer within") as caught:
            await read(bus, 9)
        reported.append(re.findall(r"within ([0-9.]+) s", str(caught.value))[0])
        assert time.monotonic() - start >= 0.1
        assert caught.value.reason is Reason.SILENT
        bus.response_timeout = ResponseTimeout(ENOUGH_S)
        assert await read(bus, 1) == 230.5
    assert reported == ["0.15", "0.15"]  # a shorter wait is not told as another time-out
    assert server.connections == 1


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (6, DataError, Reason.BUSY),
        (2, DataError, Reason.ADDRESS),
        (4, DataError, Reason.FAULT),
        (11, BusError, Reason.SILENT),
    ],
)
async def test_a_refusal_is_the_error_it_means(
    server: MeterTcp, bus: ModbusTcp, code: int, kind: type[BusError | DataError], reason: Reason
) -> None:
    server.units[1].fault = UnitFault("exception", times=1, code=code)
    with pytest.raises((BusError, DataError)) as caught:
        await read(bus, 1)
    assert type(caught.value) is kind
    assert caught.value.reason is reason
    assert await read(bus, 1) == 230.5
    assert server.connections == 1


async def test_a_late_answer_is_passed_over(server: MeterTcp, bus: ModbusTcp) -> None:
    server.units[1].fault = UnitFault("late", times=2, seconds=3600)
    with impatient(bus), pytest.raises(BusError):
        await read(bus, 1)
    server.hurry()
    with impatient(bus), pytest.raises(BusError):
        await read(bus, 1)
    assert await read(bus, 1, 0x46) == 115.25  # before the second late one, behind the first
    server.hurry()
    for _ in range(3):
        assert await read(bus, 1, 0x46) == 115.25
        assert await read(bus, 2) == 111.25
    assert server.connections == 1


async def test_one_that_is_always_late_never_shifts_the_dialogue(
    server: MeterTcp, bus: ModbusTcp
) -> None:
    server.units[1].fault = UnitFault("late", seconds=0.17)
    with impatient(bus):
        for address, want in ((0, 230.5), (0x46, 115.25)) * 3:
            with suppress(BusError):
                assert await read(bus, 1, address) == want
    server.units[1].fault = None
    assert await read(bus, 1) == 230.5


async def test_an_answer_to_another_question_before_ours_is_passed_over(
    server: MeterTcp, bus: ModbusTcp
) -> None:
    server.units[1].fault = UnitFault("noise", times=1)
    assert await read(bus, 1) == 230.5
    assert await read(bus, 2) == 111.25


@pytest.mark.parametrize("kind", ["foreign", "crc"])
async def test_what_does_not_fit_is_a_data_error(
    server: MeterTcp, bus: ModbusTcp, kind: str
) -> None:
    server.units[1].fault = UnitFault(kind, times=1)  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        await read(bus, 1)
    assert caught.value.reason is Reason.CRC
    assert await read(bus, 1) == 230.5


async def test_a_torn_answer_is_silence_and_its_end_is_never_a_beginning(
    server: MeterTcp, bus: ModbusTcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responsetimeout, "SHORTEST_S", 0.5)
    server.units[1].fault = UnitFault("cut", times=1)
    with impatient(bus), pytest.raises(BusError):
        await read(bus, 1)
    # the stream is out of step for good: said so, hung up, and then it goes on
    failures = 0
    with impatient(bus, 0.5):
        for _ in range(4):
            try:
                assert await read(bus, 2) == 111.25
                break
            except (BusError, DataError):
                failures += 1
    assert failures <= 3
    assert await read(bus, 1) == 230.5


async def test_an_idle_connection_that_was_dropped_costs_no_reading(
    server: MeterTcp, bus: ModbusTcp
) -> None:
    assert await read(bus, 1) == 230.5
    server.hang_up()
    assert await read(bus, 1) == 230.5
    assert server.connections == 2


async def test_an_endpoint_that_refuses_is_not_hammered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "BACK_FIRST_S", 1.0)  # longer than a busy machine sleeps
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    bus = ModbusTcp("127.0.0.1", port, ENOUGH_S)
    with pytest.raises(BusError, match="Connection refused; is the address right"):
        await read(bus, 1)
    with pytest.raises(BusError, match="next attempt in"):
        await read(bus, 2)
    server = MeterTcp({1: MeterServer("sdm120", {"voltage_l1": 5})}, port=port).start()
    deadline = time.monotonic() + ENOUGH_S
    while True:
        try:
            assert await read(bus, 1) == 5
            break
        except BusError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    bus.close()
    server.stop()


async def test_the_pause_before_connecting_again_grows_and_is_capped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    bus = ModbusTcp("127.0.0.1", port)
    for pause_s in (0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0):
        bus._retry_ns = 0
        before_ns = time.monotonic_ns()
        with pytest.raises(BusError):
            await read(bus, 1)
        after_ns = time.monotonic_ns()
        assert before_ns <= bus._retry_ns - int(pause_s * 1e9) <= after_ns


async def test_a_host_without_an_address_is_a_bus_error() -> None:
    with pytest.raises(BusError, match="has no address"):
        await read(ModbusTcp("no-such-host.invalid", 502), 1)


class ScriptedServer:
    """Accepts, and answers each request with what `make` gives: b"" closes."""

    def __init__(self, make: Callable[[bytes], list[bytes]]) -> None:
        self.make = make
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = int(self._listener.getsockname()[1])
        self._end = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            client.settimeout(0.05)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client:
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        while not self._end:
            try:
                asked = client.recv(260)
                if not asked:
                    return
                for part in self.make(asked):
                    if not part:
                        return
                    client.sendall(part)
                    time.sleep(0.002)
            except TimeoutError:
                continue
            except OSError:
                return

    def close(self) -> None:
        self._end = True
        self._thread.join()
        self._listener.close()


def whole(asked: bytes) -> bytes:
    return asked[:2] + bytes.fromhex("0000 0007") + asked[6:7] + bytes.fromhex("0404 43668000")


async def test_an_answer_in_pieces_is_put_together() -> None:
    peer = ScriptedServer(lambda asked: [whole(asked)[:3], whole(asked)[3:8], whole(asked)[8:]])
    bus = ModbusTcp("127.0.0.1", peer.port, ENOUGH_S)
    assert [await read(bus, 1) for _ in range(3)] == [230.5] * 3
    bus.close()
    peer.close()


async def test_an_endpoint_that_closes_each_time_is_a_bus_error_with_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp, "BACK_FIRST_S", 5.0)
    peer = ScriptedServer(lambda asked: [b""])
    bus = ModbusTcp("127.0.0.1", peer.port, ENOUGH_S)
    with pytest.raises(BusError, match="closed the connection"):
        await read(bus, 1)
    with pytest.raises(BusError, match="next attempt in"):
        await read(bus, 1)
    bus.close()
    peer.close()
    assert peer.connections == 1


async def test_a_flood_of_other_answers_ends_with_a_new_connection() -> None:
    peer = ScriptedServer(lambda asked: [b"\xff\xff" + whole(asked)[2:] for _ in range(40)])
    bus = ModbusTcp("127.0.0.1", peer.port, ENOUGH_S)
    with pytest.raises(DataError, match="other questions"):
        await read(bus, 1)
    peer.make = lambda asked: [whole(asked)]
    assert await read(bus, 1) == 230.5
    bus.close()
    peer.close()


async def test_a_peer_that_went_deaf_is_connected_to_again() -> None:
    peer = ScriptedServer(lambda asked: [])
    bus = ModbusTcp("127.0.0.1", peer.port)
    with impatient(bus, 0.02):
        for unit in range(3):
            with pytest.raises(BusError):
                await read(bus, unit)
    peer.make = lambda asked: [whole(asked)]
    assert await read(bus, 1) == 230.5
    bus.close()
    peer.close()
    assert peer.connections == 2


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    peer = ScriptedServer(lambda asked: [])
    yield peer
    peer.close()


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.one_of(
        st.binary(max_size=40).map(lambda data: (None, data)),
        st.tuples(st.integers(0, 8 * 13 - 1), st.just(b"")),
        st.tuples(st.none(), st.binary(max_size=12)).map(lambda t: (None, t[1])),
    )
)
async def test_whatever_comes_is_our_answer_or_one_of_two_errors(
    scripted: ScriptedServer, mutation: tuple[int | None, bytes]
) -> None:
    bit, random = mutation

    def make(asked: bytes) -> list[bytes]:
        if bit is None:
            return [asked[:2] + random] if random else []
        good = whole(asked)
        return [(int.from_bytes(good, "big") ^ 1 << bit).to_bytes(len(good), "big")]

    scripted.make = make
    bus = ModbusTcp("127.0.0.1", scripted.port, timeout_s=0.01)
    try:
        data = await bus.read_registers(1, 4, 0, 2)
    except (BusError, DataError):
        return
    finally:
        bus.close()
    # TCP has no check sum of its own above the kernel's: a bit of the value itself may be another
    assert len(data) == 4
    assert bit is not None
    assert bit < 32
