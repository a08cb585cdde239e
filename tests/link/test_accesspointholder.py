"""How long the access point is open: in virtual time, with the files of the real thing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.link.accesspointfiles import (
    LIMIT,
    REQUEST_NAME,
    AccessPointRequest,
    AccessPointState,
    is_open,
    leave_request,
    read_state,
    take_request,
    write_state,
)
from edge.link.accesspointholder import AccessPointHolder, HolderParts
from edge.link.dbus import DBusError
from edge.link.pageunits import AccessPointError
from edge.link.wifiaccesspoint import WifiAccessPoint

START_S = 1000.0


class RadioPoint(WifiAccessPoint):
    """Opens and closes without a radio; `fails` is what opening says, `up` what NetworkManager."""

    def __init__(self, fails: str = "") -> None:
        self.interface, self.fails, self.up, self.log = "wlan0", fails, True, list[str]()

    def open(self) -> None:
        self.log.append("open")
        if self.fails:
            raise AccessPointError(self.fails)

    def is_up(self) -> bool:
        return self.up

    def close(self) -> None:
        self.log.append("close")


class Box:
    """One box: its folders, its clock, and what happens at a time."""

    def __init__(self, folder: Path) -> None:
        self.spool, self.state = folder / "spool", folder / "state"
        self.spool.mkdir()
        self.state.mkdir()
        self.now_s, self.point, self.stopped = START_S, RadioPoint(), False
        self.at: list[tuple[float, Callable[[], object]]] = []

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        for due in [each for each in self.at if each[0] <= self.now_s]:
            self.at.remove(due)
            due[1]()
        if self.now_s > START_S + 20_000:
            raise AssertionError("it never closes")

    def ask(self, action: str = "open", minutes: int = 60) -> None:
        found = AccessPointRequest(action=action, minutes=minutes)  # type: ignore[arg-type]
        leave_request(self.spool, found)

    def run(self) -> AccessPointState:
        parts = HolderParts(
            spool=self.spool, state=self.state, network="kerbstone-gw-17", make=lambda: self.point,
            now_s=lambda: self.now_s, wait=self.wait, ended=lambda: self.stopped,
        )  # fmt: skip
        AccessPointHolder(parts).run()
        found = read_state(self.state)
        assert found is not None
        return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_an_hour_is_an_hour(box: Box) -> None:
    box.ask()
    seen: list[AccessPointState | None] = []
    box.at = [(START_S + 3599, lambda: seen.append(read_state(box.state)))]
    after = box.run()
    assert box.now_s == START_S + 3600
    assert box.point.log == ["open", "close"]
    assert (after.open, after.text) == (False, "closed: its time is over")
    (during,) = seen
    assert is_open(during, START_S + 3599)
    assert not is_open(during, START_S + 3600), "also when nobody has said so"
    assert during is not None
    assert (during.network, during.address) == ("kerbstone-gw-17", "10.213.47.1")


def test_it_is_closed_when_it_is_asked_for_and_renewed_when_it_is_asked_for(box: Box) -> None:
    box.ask(minutes=10)
    box.at = [
        (START_S + 500, lambda: box.ask(minutes=10)),
        (START_S + 1000, lambda: box.ask("close")),
    ]
    after = box.run()
    assert box.now_s == START_S + 1000, "not at 600: it was renewed"
    assert after.text == "closed: asked for"


def test_killed_it_goes_on_until_the_time_that_was_given(box: Box) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    box.ask(minutes=60)
    box.at = [(START_S + 600, kill)]
    with pytest.raises(Killed):
        box.run()
    killed = AccessPointState(
        open=True, network="kerbstone-gw-17", interface="wlan0", until_s=START_S + 3600, number=1
    )
    write_state(box.state, killed)  # as it stood when no code could run any more
    box.point = RadioPoint()
    box.run()
    assert box.point.log == ["open", "close"]
    assert box.now_s == START_S + 3600


@pytest.mark.parametrize("late_s", [0.0, 1.0, 1e6])
def test_after_its_time_it_does_not_open_again(late_s: float, box: Box) -> None:
    write_state(box.state, AccessPointState(open=True, until_s=START_S - late_s))
    after = box.run()
    assert box.point.log == []
    assert not after.open


def test_after_a_boot_it_is_closed_for_nothing_is_left(box: Box) -> None:
    after = box.run()
    assert (box.point.log, after.open) == ([], False)


def test_what_does_not_open_says_why_and_is_not_tried_again(box: Box) -> None:
    box.point = RadioPoint("this radio cannot be one")
    box.ask()
    after = box.run()
    assert (after.open, after.text) == (False, "this radio cannot be one")
    assert after.number == 1, "the one who asked sees that it was taken"
    assert box.now_s == START_S


def test_networkmanager_s_end_is_noticed_within_seconds(box: Box) -> None:
    box.ask()
    box.at = [(START_S + 100, lambda: setattr(box.point, "up", False))]
    after = box.run()
    assert box.now_s <= START_S + 106
    assert after.text == "closed: NetworkManager has ended it"


def test_a_stop_of_the_service_closes_it(box: Box) -> None:
    box.ask()
    box.at = [(START_S + 5, lambda: setattr(box, "stopped", True))]
    after = box.run()
    assert box.point.log == ["open", "close"]
    assert after.text == "closed: the service was stopped"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"action": "reboot"}', b'{"action": "open", "minutes": 0}',
             b'{"action": "open", "minutes": 100000}', b'{"action": "open", "x": 1}',
             b'{"action": "open"}' + b" " * LIMIT + b"x"],
)  # fmt: skip
def test_what_is_no_request_is_thrown_away(data: bytes, box: Box) -> None:
    (box.spool / REQUEST_NAME).write_bytes(data)
    after = box.run()
    assert box.point.log == []
    assert not after.open
    assert list(box.spool.iterdir()) == [], "or it would be started again and again"


def test_a_link_or_a_pipe_or_a_folder_in_the_spool_is_removed_and_not_followed(
    box: Box, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"action": "open"}')
    path = box.spool / REQUEST_NAME
    makers: tuple[Callable[[], None], ...] = (
        lambda: path.symlink_to(secret), lambda: os.mkfifo(path), path.mkdir,
    )  # fmt: skip
    for make in makers:
        make()
        assert take_request(box.spool) is None
        assert not path.is_symlink()
        assert not path.exists()
    assert secret.exists()


def test_a_request_is_for_the_group_and_the_state_for_all(box: Box) -> None:
    box.ask()
    assert (box.spool / REQUEST_NAME).stat().st_mode & 0o777 == 0o640
    box.run()
    assert (box.state / "state.json").stat().st_mode & 0o777 == 0o644
    assert (box.state / "interface").read_text() == "wlan0\n"


def test_a_d_bus_that_fails_is_no_access_point() -> None:
    class DeadBus:
        def call(self, *_: object) -> tuple[object, ...]:
            raise DBusError("no answer")

    point = WifiAccessPoint(DeadBus(), None, "wlan0", lambda s: None)  # type: ignore[arg-type]
    assert not point.is_up()
    with pytest.raises(AccessPointError, match="no answer"):
        point.open()
