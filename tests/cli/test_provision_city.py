"""`kerbstone provision issue | issued | broker | revoke`: certificates by name, and their codes."""

import json
from pathlib import Path

import pytest
from cryptography import x509

from tests.kit.command import Command
from tests.kit.enrolment import DeviceKey

HOSTS = ("--dns", "broker.city.example", "--ip", "192.0.2.10")


@pytest.fixture
def home(kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's folder, which the environment names; the desk is the working folder."""
    folder, desk = tmp_path / "server", tmp_path / "desk"
    monkeypatch.setenv("KERBSTONE_PROVISION", str(folder))
    assert kerbstone("provision", "ca", "--host", "localhost").code == 0
    desk.mkdir()
    monkeypatch.chdir(desk)
    return folder


def made(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(f"{name}.crt").read_bytes())


def test_a_broker_and_a_program_are_issued_listed_and_revoked(
    kerbstone: Command, home: Path
) -> None:
    assert kerbstone("provision", "issued").out == "no broker and no program has a certificate\n"
    said = kerbstone("provision", "issue", "broker", "mq-1", *HOSTS, "--json")
    assert said.code == 0, said.err
    reported = json.loads(said.out)
    assert reported["serial"] == f"{made('mq-1').serial_number:x}"
    assert {Path(each).name for each in reported["files"]} == {"mq-1.crt", "mq-1.key", "ca.crt"}
    assert "BEGIN" not in said.out
    assert kerbstone("provision", "issue", "platform", "platform").code == 0

    listed = json.loads(kerbstone("provision", "issued", "--json").out)["issued"]
    assert [(row["kind"], row["name"]) for row in listed] == [
        ("broker", "mq-1"), ("platform", "platform"),
    ]  # fmt: skip
    gone = kerbstone("provision", "revoke", "platform", "--json")
    assert json.loads(gone.out)["revoked"] == [f"{made('platform').serial_number:x}"]
    crl = x509.load_pem_x509_crl((home / "crl.pem").read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(made("platform").serial_number)
    assert "no valid certificate" in kerbstone("provision", "revoke", "platform").out
    listed = json.loads(kerbstone("provision", "issued", "--json").out)["issued"]
    assert [row["name"] for row in listed] == ["mq-1"]


@pytest.mark.usefixtures("home")
def test_what_ends_within_a_month_is_a_finding_until_it_is_renewed(kerbstone: Command) -> None:
    issue = ("provision", "issue", "broker", "mq-1", *HOSTS)
    assert kerbstone(*issue, "--days", "20").code == 0
    said = kerbstone("provision", "issued")
    assert said.code == 1
    assert "mq-1" in said.out
    assert "renew it now" in said.out
    assert kerbstone(*issue).code == 0
    said = kerbstone("provision", "issued")
    assert (said.code, "in time" in said.out) == (0, True)


@pytest.mark.usefixtures("home")
def test_what_mosquitto_needs_is_written_with_what_to_do_then(
    kerbstone: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "mosquitto"
    assert kerbstone("provision", "issue", "broker", "mq-1", *HOSTS).code == 0
    words = ("provision", "broker", "mq-1", "--out", folder)
    said = kerbstone(*words)
    assert said.code == 2
    assert "no such folder" in said.err
    folder.mkdir()
    assert "put the key of mq-1" in kerbstone(*words).out
    said = kerbstone(*words, "--key", "mq-1.key")
    assert said.code == 0, said.err
    assert "systemctl reload mosquitto" in said.out
    assert (folder / "server.key").read_bytes() == Path("mq-1.key").read_bytes()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["broker", "mq-1"], "--dns, --ip"),
        (["broker", "MQ/1", *HOSTS], "name has"),
        (["platform", "store"], "is called platform"),
        (["platform", "platform", *HOSTS], "is a client"),
        (["platform", "platform", "--csr", "none.csr"], "none.csr"),
        (["platform", "platform", "--out", "nowhere"], "no such folder"),
        (["platform", "platform", "--days", "0"], "1 to 3650"),
        (["box", "gw-17"], "invalid choice"),
    ],
)
def test_what_cannot_be_issued_is_exit_2_and_writes_nothing(
    kerbstone: Command, home: Path, words: list[str], text: str
) -> None:
    said = kerbstone("provision", "issue", *words)
    assert said.code == 2
    assert text in said.err
    assert list(Path().iterdir()) == []


def test_a_key_is_not_written_into_the_server_s_own_folder(kerbstone: Command, home: Path) -> None:
    said = kerbstone("provision", "issue", "platform", "platform", "--out", home)
    assert said.code == 2
    assert "choose another --out" in said.err


@pytest.mark.usefixtures("home")
def test_a_request_brings_the_key_of_another_machine(kerbstone: Command) -> None:
    box = DeviceKey()
    Path("platform.csr").write_bytes(box.csr(name="platform"))
    said = kerbstone("provision", "issue", "platform", "platform", "--csr", "platform.csr")
    assert said.code == 0, said.err
    assert made("platform").public_key() == box.key.public_key()
    assert not Path("platform.key").exists()
    Path("platform.csr").write_bytes(box.csr(name="platform-2"))
    said = kerbstone("provision", "issue", "platform", "platform", "--csr", "platform.csr")
    assert said.code == 2
    assert "common name" in said.err


@pytest.mark.parametrize("act", [["issued"], ["issue", "platform", "platform"],
                                 ["broker", "mq-1", "--out", "."]])  # fmt: skip
def test_a_folder_without_a_server_is_exit_2(
    kerbstone: Command, tmp_path: Path, act: list[str]
) -> None:
    said = kerbstone("provision", *act, "--dir", tmp_path)
    assert said.code == 2
    assert str(tmp_path) in said.err
