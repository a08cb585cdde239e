"""The calls as they cross a real D-Bus, to services that are no kinder than the real ones."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.link import services
from edge.link.dbus import DBusError, SystemDBus
from edge.link.profile import UUID
from tests.link.private_dbus import LOGIND, MM, NM, DbusServices

pytest.importorskip("jeepney", reason="jeepney is not installed: extra `link`")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DbusServices]:
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not here; apt install dbus-daemon")
    with DbusServices(tmp_path) as found:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", found.address)
        found.nothing()
        yield found


@pytest.fixture
def bus(desk: DbusServices) -> Iterator[SystemDBus]:
    found = SystemDBus(timeout_s=5.0)
    yield found
    found.close()


def test_up_is_our_profile_when_it_is_activated(desk: DbusServices, bus: SystemDBus) -> None:
    assert not services.is_up(bus)
    desk.connection(UUID, 1)
    assert not services.is_up(bus), "it is activating only"
    desk.connection(UUID, 2)
    assert services.is_up(bus)


def test_another_connection_is_not_ours(desk: DbusServices, bus: SystemDBus) -> None:
    desk.connection("other", 2)
    desk.profiles[UUID] = "/profile/1"
    assert not services.is_up(bus)
    del desk.profiles[UUID]  # a network made by hand: then it is what counts
    assert services.is_up(bus)


def test_a_reconnect_activates_our_profile(desk: DbusServices, bus: SystemDBus) -> None:
    desk.profiles[UUID] = "/profile/1"
    assert "/profile/1" in services.reconnect_profile(bus)
    path = "/org/freedesktop/NetworkManager"
    assert desk.calls == [(f"{NM}.ActivateConnection", path, ("/profile/1", "/", "/"))]


def test_a_reconnect_by_hand_activates_the_primary_one(desk: DbusServices, bus: SystemDBus) -> None:
    desk.connection("other", 2)
    assert "/profile/7" in services.reconnect_profile(bus)


def test_without_any_connection_a_reconnect_is_a_fault(desk: DbusServices, bus: SystemDBus) -> None:
    with pytest.raises(DBusError, match="neither"):
        services.reconnect_profile(bus)


def test_every_modem_is_reset(desk: DbusServices, bus: SystemDBus) -> None:
    services.reset_modem(bus)
    assert desk.calls == [(f"{MM}.Modem.Reset", desk.modems[0], ())]
    desk.modems = []
    with pytest.raises(DBusError, match="no modem"):
        services.reset_modem(bus)


def test_a_reboot_asks_nobody(desk: DbusServices, bus: SystemDBus) -> None:
    services.reboot(bus)
    assert desk.calls == [(f"{LOGIND}.Manager.Reboot", "/org/freedesktop/login1", (False,))]


def test_a_refusal_says_what_was_refused(desk: DbusServices, bus: SystemDBus) -> None:
    desk.refuse.add(f"{LOGIND}.Manager.Reboot")
    with pytest.raises(DBusError, match=r"Reboot: .*AccessDenied"):
        services.reboot(bus)


def test_wrong_types_would_be_noticed(desk: DbusServices, bus: SystemDBus) -> None:
    with pytest.raises(DBusError, match="InvalidArgs"):
        bus.call(LOGIND, "/org/freedesktop/login1", f"{LOGIND}.Manager.Reboot", "s", "no")


def test_a_service_that_is_not_there_is_a_fault(desk: DbusServices, bus: SystemDBus) -> None:
    with pytest.raises(DBusError, match="ServiceUnknown"):
        bus.call("org.example.None", "/", "org.example.None.Do")


def test_a_service_that_never_answers_is_a_fault_and_the_next_call_works(
    desk: DbusServices,
) -> None:
    bus = SystemDBus(timeout_s=0.3)
    desk.silent.add(f"{LOGIND}.Manager.Reboot")
    with pytest.raises(DBusError):
        services.reboot(bus)
    desk.silent.clear()
    services.reboot(bus)
    bus.close()


def test_no_bus_at_all_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(DBusError):
        services.is_up(SystemDBus())


def test_a_bus_that_was_restarted_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = SystemDBus(timeout_s=5.0)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    with DbusServices(tmp_path) as desk:
        desk.nothing()
        assert not services.is_up(bus)
    (tmp_path / "bus").unlink(missing_ok=True)
    with DbusServices(tmp_path) as desk:
        desk.nothing()
        with pytest.raises(DBusError):
            services.is_up(bus)
        assert not services.is_up(bus)
    bus.close()
