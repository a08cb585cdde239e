"""As whom the daemon runs and what that user may open; what its unit says, drop-ins and all."""

import os
import pwd
import socket
from pathlib import Path

import pytest

from edge.control.protocol import SOCKET_NAME
from edge.diagnose import daemonuser
from edge.diagnose.daemonuser import DaemonUser, installed_user, running_user, unit_settings
from edge.diagnose.egresschecks import egress_networks, egress_result
from tests.kit.kerneltrees import lay

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "systemd/kerbstone.service").read_text(encoding="utf-8")
PLACE = "usr/lib/systemd/system/kerbstone.service"
EGRESS = "run/systemd/system/kerbstone.service.d/50-egress.conf"


@pytest.mark.parametrize(
    ("mode", "groups", "number", "may"),
    [
        (0o600, {1}, 0, True),  # 0: the owner, here
        (0o660, {1}, 7, True),
        (0o640, {1}, 7, False),
        (0o660, {2}, 7, False),
        (0o666, {2}, 7, True),
    ],
)
def test_the_mode_of_a_file_decides(
    tmp_path: Path, mode: int, groups: set[int], number: int, may: bool
) -> None:
    file = tmp_path / "port"
    file.touch()
    file.chmod(mode)
    stat = file.stat()
    ours = frozenset(stat.st_gid + each - 1 for each in groups)
    user = DaemonUser("kerbstone", stat.st_uid + number, ours)
    assert user.may(file, 6) is may


def test_a_file_that_cannot_be_seen_is_not_judged(tmp_path: Path) -> None:
    assert DaemonUser("kerbstone", 7, frozenset()).may(tmp_path / "gone", 6) is None


def test_the_groups_are_those_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd gives it groups that the list of groups does not know."""
    monkeypatch.setattr(pwd, "getpwuid", lambda number: pwd.struct_passwd(
        ("kerbstone", "x", 4711, 4711, "", "/", "/bin/false")))  # fmt: skip
    real = Path.stat
    owned = os.stat_result((0o140660, 0, 0, 1, 4711, 4711, 0, 0, 0, 0))
    monkeypatch.setattr(
        Path, "stat", lambda path: owned if path.name == SOCKET_NAME else real(path)
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET_NAME))
        listener.listen()
        user = running_user(tmp_path)
    assert user is not None
    assert (user.name, user.number) == ("kerbstone", 4711)
    assert user.groups >= {*os.getgroups(), os.getgid()}, "those of this process, which listens"


def test_where_nobody_listens_nobody_runs(tmp_path: Path) -> None:
    assert running_user(tmp_path) is None


def test_a_unit_that_is_not_installed_says_nothing(tmp_path: Path) -> None:
    assert list(unit_settings(tmp_path)) == []
    assert installed_user(tmp_path) is None
    assert egress_networks(tmp_path) is None


def test_the_user_of_the_unit_has_the_groups_of_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, {PLACE: UNIT})
    me = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwnam", lambda name: me)
    monkeypatch.setattr(daemonuser, "USER", me.pw_name)
    asked: list[str] = []

    def numbered(names: list[str]) -> list[int]:
        asked.extend(names)
        return [4242]

    monkeypatch.setattr(daemonuser, "_numbers", numbered)
    user = installed_user(tmp_path)
    assert user is not None
    assert asked == ["gpio", "i2c", "dialout"]
    assert 4242 in user.groups


def test_drop_ins_count_by_their_names_and_an_empty_value_begins_anew(tmp_path: Path) -> None:
    lay(tmp_path, {
        PLACE: UNIT,
        EGRESS: "[Service]\nIPAddressAllow=192.0.2.10\n",
        "run/systemd/system.control/kerbstone.service.d/50-IPAddressAllow.conf":
            "[Service]\nIPAddressAllow=\nIPAddressAllow=192.0.2.7\n",
    })  # fmt: skip
    assert egress_networks(tmp_path) == ["192.0.2.7", "192.0.2.10"]


@pytest.mark.parametrize(
    ("addresses", "allowed", "outcome"),
    [
        (["127.0.0.1", "::1"], ["localhost"], "ok"),
        (["192.0.2.10"], ["192.0.2.0/24"], "ok"),
        (["198.51.100.1"], ["any"], "ok"),
        (["192.0.2.10", "2001:db8::1"], ["192.0.2.10"], "warning"),
        (["fe80::1%eth0"], ["192.0.2.10"], "fault"),
        (["192.0.2.10"], ["nonsense"], "fault"),
        (["192.0.2.10"], None, "not checked"),
        ([], ["localhost"], "not checked"),
    ],
)
def test_an_address_is_let_through_or_not(
    addresses: list[str], allowed: list[str] | None, outcome: str
) -> None:
    assert egress_result(addresses, allowed, "b").outcome == outcome
