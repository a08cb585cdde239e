"""Units that bring the page somewhere: started over D-Bus, and waited for as systemd answers."""

from collections import deque
from typing import Any

import pytest

from edge.link.dbus import DBusError
from edge.link.pageunits import (
    AccessPointError,
    start_page_sockets,
    start_unit,
    stop_page_sockets,
)

PATH = "/org/freedesktop/systemd1/unit/x"


class SystemdBus:
    """Answers as systemd does: `states` are (ActiveState, job) at each pair of questions; a unit
    of `broken` never becomes active, and what is not in `states` is active at once."""

    def __init__(
        self, states: list[tuple[str, int]] | None = None, broken: tuple[str, ...] = ()
    ) -> None:
        self.calls: list[tuple[str, str]] = []
        self._states, self._broken = deque(states or []), broken
        self._unit = ""

    def call(
        self, to: str, path: str, method: str, signature: str = "", *arguments: Any
    ) -> tuple[Any, ...]:
        name = method.rpartition(".")[2]
        if name in ("StartUnit", "StopUnit"):
            self.calls.append((name, arguments[0]))
            self._unit = arguments[0]
            if arguments[0] == "forbidden.socket":
                raise DBusError("AccessDenied")
            return ("/job/1",)
        if name == "LoadUnit":
            return (PATH,)
        assert (path, signature) == (PATH, "ss")
        state, job = self._states[0] if self._states else ("active", 0)
        if self._unit in self._broken:
            state, job = "failed", 0
        if arguments[1] == "Job":
            return (("(uo)", (job, "/")),)
        if self._states:
            self._states.popleft()
        return (("s", state),)


def waits(seconds: list[float]) -> Any:
    return seconds.append


def test_it_waits_until_the_unit_is_active() -> None:
    waited: list[float] = []
    start_unit(
        SystemdBus([("inactive", 7), ("activating", 7), ("active", 7), ("active", 0)]),
        "a.service", waits(waited),
    )  # fmt: skip
    assert len(waited) == 3


def test_a_job_that_ends_between_the_two_questions_is_no_failure() -> None:
    """The job is asked for first: when it is over, the state is what it has brought."""

    class Between(SystemdBus):
        """Its job is over as soon as somebody has asked for it."""

        def call(self, *words: Any) -> tuple[Any, ...]:
            answer = super().call(*words)
            if words[-1] == "Job":
                self._states = deque([("active", 0)] * 4)
            return answer

    waited: list[float] = []
    start_unit(Between([("activating", 7)]), "a.service", waits(waited))
    assert len(waited) == 1


def test_what_fails_is_told_with_its_name() -> None:
    with pytest.raises(AccessPointError, match=r"a\.service does not start.*nftables"):
        start_unit(SystemdBus([("failed", 0)]), "a.service", lambda s: None)


def test_the_page_comes_to_interfaces_that_are_named_and_to_no_other() -> None:
    bus = SystemdBus()
    assert start_page_sockets(bus, (), lambda s: None) == []
    assert bus.calls == []
    started = start_page_sockets(bus, ("eth0",), lambda s: None)
    assert bus.calls == [
        ("StartUnit", "kerbstone-bind@eth0.service"),
        ("StartUnit", "kerbstone-web@eth0.socket"),
        ("StartUnit", "kerbstone-portal@eth0.socket"),
    ]
    stop_page_sockets(bus, started)
    assert bus.calls[3:] == [
        ("StopUnit", "kerbstone-web@eth0.socket"), ("StopUnit", "kerbstone-portal@eth0.socket"),
    ]  # fmt: skip


def test_an_interface_that_is_not_there_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    bus = SystemdBus(broken=("kerbstone-bind@eth7.service",))
    started = start_page_sockets(bus, ("eth7", "eth0"), lambda s: None)
    assert started == ["kerbstone-web@eth0.socket", "kerbstone-portal@eth0.socket"]
    assert "the page is not reached on eth7" in caplog.text
    stop_page_sockets(bus, ["forbidden.socket", *started])
    assert len(bus.calls) == 7, "the others are stopped all the same"
