"""`kerbstone access-point`: what it leaves in /run, and what it says of what it finds there."""

import json
import threading
from pathlib import Path

import pytest

from edge.identity.runfiles import RUN
from edge.kernelclock import boottime_ns
from edge.link.accesspointfiles import (
    AccessPointRequest,
    AccessPointState,
    spool_folder,
    state_folder,
    take_request,
    write_state,
)
from tests.kit.command import Command


class Holder:
    """The other end: takes one request, and says what becomes of it."""

    def __init__(self, becomes: AccessPointState) -> None:
        self.taken: AccessPointRequest | None = None
        self._becomes = becomes
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for _ in range(2000):
            self.taken = take_request(spool_folder())
            if self.taken is not None:
                write_state(state_folder(), self._becomes)
                return
            threading.Event().wait(0.01)

    def join(self) -> None:
        self._thread.join(30)


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(RUN, str(tmp_path))
    spool_folder().mkdir()
    state_folder().mkdir()
    return tmp_path


def opened(left_s: float = 3000.0, number: int = 1) -> AccessPointState:
    return AccessPointState(
        open=True, network="kerbstone-gw-17", interface="wlan0", address="10.213.47.1",
        until_s=boottime_ns() / 1e9 + left_s, number=number,
    )  # fmt: skip


def test_open_asks_and_says_where_the_page_is(kerbstone: Command) -> None:
    holder = Holder(opened())
    said = kerbstone("access-point", "open", "--minutes", "30")
    holder.join()
    assert said.code == 0, said.err
    assert holder.taken == AccessPointRequest(action="open", minutes=30)
    assert "kerbstone-gw-17" in said.out
    assert "https://10.213.47.1/" in said.out


def test_what_does_not_open_is_told_with_its_reason(kerbstone: Command) -> None:
    holder = Holder(AccessPointState(open=False, text="this box has no Wi-Fi", number=1))
    said = kerbstone("access-point", "open")
    holder.join()
    assert (said.code, said.out) == (1, "closed: this box has no Wi-Fi\n")


def test_close_waits_until_it_is_closed(kerbstone: Command) -> None:
    write_state(state_folder(), opened())
    holder = Holder(AccessPointState(open=False, text="closed: asked for", number=2))
    said = kerbstone("access-point", "close")
    holder.join()
    assert (said.code, said.out) == (0, "closed: asked for\n")


def test_status_says_for_how_long_and_never_the_key(kerbstone: Command) -> None:
    assert kerbstone("access-point", "status").code == 1, "nobody has asked since the boot"
    write_state(state_folder(), opened(600.0))
    said = kerbstone("access-point", "status", "--json")
    found = json.loads(said.out)
    assert said.code == 0
    assert 590 <= found.pop("left_s") <= 600
    assert found == {
        "open": True, "network": "kerbstone-gw-17", "interface": "wlan0",
        "page": "https://10.213.47.1/", "text": "",
    }  # fmt: skip
    write_state(state_folder(), opened(-1.0))
    assert kerbstone("access-point", "status").code == 1, "its time is over"


def test_without_a_spool_folder_it_says_that_this_is_no_box(
    kerbstone: Command, run_folder: Path
) -> None:
    spool_folder().rmdir()
    said = kerbstone("access-point", "open")
    assert said.code == 3
    assert "is this a box?" in said.err


@pytest.mark.parametrize("minutes", ["0", "241", "x", "-5"])
def test_minutes_are_bounded(minutes: str, kerbstone: Command) -> None:
    assert kerbstone("access-point", "open", "--minutes", minutes).code == 2
