"""What opens the page, from a claim or made by the box: where it lies, and where it never does."""

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from edge.core import printedsecret
from edge.core.secrethash import is_secret
from edge.identity import accesskeeping, main, pageaccess
from edge.identity.bootpartition import ACCESS_FILE, BootPartition
from edge.identity.statefolder import ACCESS_POINT, LABEL_KEPT, LOGIN, StateFolder
from edge.provision import operatordocs
from tests.kit.enrolment import EnrolmentServer

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> StateFolder:
    (tmp_path / "state").mkdir()
    return StateFolder(tmp_path / "state")


@pytest.fixture
def boot(tmp_path: Path) -> BootPartition:
    (tmp_path / "boot").mkdir()
    return BootPartition(tmp_path / "boot")


def shown(boot: BootPartition) -> dict[str, str]:
    """What a technician reads there."""
    text = (boot.folder / ACCESS_FILE).read_text()
    return dict(re.findall(r"^([A-Za-z -]+): +(\S+)$", text, re.MULTILINE))


def test_a_printed_secret_has_79_bits_and_no_two_letters_that_look_alike() -> None:
    made = printedsecret.make_printed_secret()
    assert re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", made)
    assert not set("ilo01") & set(printedsecret.LETTERS)
    assert len({printedsecret.make_printed_secret() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("gateway", "name"),
    [
        ("gw-17", "kerbstone-gw-17"),
        ("a" * 22, "kerbstone-" + "a" * 22),
    ],
)
def test_the_network_has_the_gateway_s_name(gateway: str, name: str) -> None:
    assert pageaccess.network_name(gateway) == name


def test_long_names_fit_and_stay_different() -> None:
    names = {pageaccess.network_name("a" * 40 + last) for last in ("1", "2", "3")}
    assert len(names) == 3
    assert all(len(name) == 32 for name in names)


def test_a_claim_s_are_kept_beside_it_and_what_the_box_had_made_goes(
    store: StateFolder, boot: BootPartition
) -> None:
    assert accesskeeping.provide_access(store, boot, "serial01")
    assert (boot.folder / ACCESS_FILE).exists()
    access, secret = pageaccess.make_access()
    accesskeeping.keep_access(store, boot, access, "gw-17")
    assert not (boot.folder / ACCESS_FILE).exists(), "it opens nothing any more"
    assert is_secret(secret, (store.get(LOGIN) or b"").decode().strip())
    key = pageaccess.read_access_point(store.get(ACCESS_POINT))
    assert key == pageaccess.AccessPointKey(network="kerbstone-gw-17", psk=access.wifi_psk)
    assert not accesskeeping.provide_access(store, boot, "serial01"), "there are some"


def test_a_box_without_any_makes_them_once_and_shows_them_on_its_card(
    store: StateFolder, boot: BootPartition
) -> None:
    assert accesskeeping.provide_access(store, boot, "serial01")
    rows = shown(boot)
    assert rows["Wi-Fi"] == "kerbstone-serial01"
    assert is_secret(rows["secret"], (store.get(LOGIN) or b"").decode().strip())
    key = pageaccess.read_access_point(store.get(ACCESS_POINT))
    assert key is not None
    assert key.psk == rows["passphrase"]
    before = store.get(LOGIN)
    assert not accesskeeping.provide_access(store, boot, "serial01")
    assert store.get(LOGIN) == before


def test_a_box_that_cannot_show_them_makes_none(store: StateFolder, tmp_path: Path) -> None:
    assert not accesskeeping.provide_access(store, BootPartition(tmp_path / "none"), "x")
    assert store.get(LOGIN) is None


def test_killed_between_the_two_it_makes_others_that_are_shown(
    store: StateFolder, boot: BootPartition
) -> None:
    accesskeeping.provide_access(store, boot, "serial01")
    store.remove(ACCESS_POINT)
    assert accesskeeping.provide_access(store, boot, "serial01")
    key = pageaccess.read_access_point(store.get(ACCESS_POINT))
    assert key is not None
    assert shown(boot)["passphrase"] == key.psk


@pytest.mark.parametrize("data", [None, b"", b"{", b'{"network": "x"}', b"\xff"])
def test_a_damaged_key_is_none(data: bytes | None) -> None:
    assert pageaccess.read_access_point(data) is None


@pytest.mark.parametrize(
    "wrong",
    [{"wifi_psk": "short"}, {"wifi_psk": "with blank 12"}, {"login_secret": "plain secret"}],
)
def test_a_claim_with_a_wrong_one_is_refused(wrong: dict[str, str]) -> None:
    access, _ = pageaccess.make_access()
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(access), **wrong}, pageaccess.PageAccess)


def test_the_serial_is_the_board_s_or_one_of_this_card(tmp_path: Path) -> None:
    serial, machine = tmp_path / "serial", tmp_path / "machine-id"
    serial.write_bytes(b"10000000ABCD1234\0")
    machine.write_text("0123456789abcdef\n")
    assert accesskeeping.board_serial(serial, machine) == "abcd1234"
    serial.unlink()
    made = accesskeeping.board_serial(serial, machine)
    assert re.fullmatch(r"[0-9a-f]{8}", made)
    assert made == accesskeeping.board_serial(serial, machine)
    assert made not in "0123456789abcdef", "the machine's id is not told to everybody"


@pytest.fixture
def server(tmp_path: Path) -> EnrolmentServer:
    return EnrolmentServer(tmp_path / "city")


def enrol(tmp_path: Path, *words: str) -> int:
    folders = ["--state", str(tmp_path / "state"), "--boot", str(tmp_path / "boot")]
    return main.main([*words[:1], *folders, *words[1:]])


def test_at_its_first_start_a_box_without_a_claim_shows_what_it_has_made(
    store: StateFolder, boot: BootPartition, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(tmp_path, "run") == main.NO_CLAIM
    rows = shown(boot)
    said = capsys.readouterr()
    status = (boot.folder / "kerbstone-status.txt").read_text()
    for secret in (rows["passphrase"], rows["secret"]):
        assert secret not in said.out + said.err, "the journal takes what it says"
        assert secret not in status


def test_the_claim_s_come_with_the_claim(
    store: StateFolder, boot: BootPartition, server: EnrolmentServer, tmp_path: Path
) -> None:
    access, _ = pageaccess.make_access()
    fields: dict[str, object] = {
        "site": "s17", "role": "crossing", "gateway": "gw-17", "access": access,
        "ca": server.home.ca.read_text(), "enrol": "https://localhost:1",
        "broker": "mqtts://localhost:8883",
    }  # fmt: skip
    operatordocs.new_claim(boot.folder, server.operator, fields, NOW, 28)
    assert enrol(tmp_path, "take") == 0
    assert (store.get(LOGIN) or b"").decode() == f"{access.login_secret}\n"
    for name in (LOGIN, ACCESS_POINT):
        assert (store.folder / name).stat().st_mode & 0o777 == 0o600
    assert not (boot.folder / ACCESS_FILE).exists()


@pytest.mark.parametrize("kept", [None, b"", b"claim"])
def test_what_was_made_anew_counts_before_the_claim_is_used_up(
    store: StateFolder, boot: BootPartition, server: EnrolmentServer, tmp_path: Path,
    kept: bytes | None, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The label was lost, and the operator has not approved the box yet: the claim is taken again
    at each boot. Also after a restore, which has brought what the label opens."""
    access, _ = pageaccess.make_access()
    fields: dict[str, object] = {
        "site": "s17", "role": "crossing", "gateway": "gw-17", "access": access,
        "ca": server.home.ca.read_text(), "enrol": "https://localhost:1",
        "broker": "mqtts://localhost:8883",
    }  # fmt: skip
    operatordocs.new_claim(boot.folder, server.operator, fields, NOW, 28)
    assert enrol(tmp_path, "take") == 0
    if kept is not None:
        store.put(LABEL_KEPT, kept)
    assert enrol(tmp_path, "access", "--new") == 0
    said = dict(re.findall(r"^([A-Za-z -]+): +(\S+)$", capsys.readouterr().out, re.MULTILINE))
    assert enrol(tmp_path, "take") == 0, "the next boot"
    assert is_secret(said["secret"], (store.get(LOGIN) or b"").decode().strip())
    other, _ = pageaccess.make_access()
    (boot.folder / "kerbstone-claim.toml").unlink()
    operatordocs.new_claim(boot.folder, server.operator, {**fields, "access": other}, NOW, 28)
    assert enrol(tmp_path, "take") == 0
    assert (store.get(LOGIN) or b"").decode() == f"{other.login_secret}\n", "a later claim"


def test_by_hand_they_are_shown_and_made_anew_and_a_reset_forgets_them(
    store: StateFolder, boot: BootPartition, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(tmp_path, "access") == 1
    assert "access --new" in capsys.readouterr().out
    assert enrol(tmp_path, "access", "--new") == 0
    said = dict(re.findall(r"^([A-Za-z -]+): +(\S+)$", capsys.readouterr().out, re.MULTILINE))
    assert is_secret(said["secret"], (store.get(LOGIN) or b"").decode().strip())
    assert enrol(tmp_path, "access") == 0
    again = capsys.readouterr().out
    assert said["passphrase"] in again
    assert said["secret"] not in again, "nobody knows it any more"
    accesskeeping.provide_access(store, boot, "x")
    boot.write_access("left")
    assert enrol(tmp_path, "forget", "--yes") == 0
    assert store.get(LOGIN) is None
    assert not (boot.folder / ACCESS_FILE).exists()
