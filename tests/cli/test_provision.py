"""`kerbstone provision`: the whole way of a box, by the commands; what is refused, and its code."""

import base64
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from edge.cli.main import VERBS
from edge.identity import siteconfig
from edge.identity.claim import CLAIM_NAME, parse_claim
from edge.identity.names import comparison_code
from edge.identity.proposal import ConfigReport, Proposal
from edge.provision import approvals
from edge.provision.configreports import KeptReport
from edge.provision.serverdir import ServerDirectory
from tests.kit.command import Command, CommandResult
from tests.kit.enrolment import DeviceKey, spki


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERBS, "provision", "")


@pytest.fixture
def home(kerbstone: Command, tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    said = kerbstone("provision", "ca", "--dir", folder, "--host", "localhost")
    assert said.code == 0, said.err
    return folder


def new(kerbstone: Command, home: Path, out: Path, *more: object) -> CommandResult:
    words = {"--site": "s17", "--role": "crossing", "--gateway": "gw-17",
             "--enrol": "https://localhost:8443", "--broker": "mqtts://localhost:8883",
             "--ca": home / "ca.pem", "--key": home / "operator.key", "--out": out,
             "--labels": home.parent / "labels"}  # fmt: skip
    return kerbstone("provision", "new", *(w for pair in words.items() for w in pair), *more)


def stick(kerbstone: Command, home: Path, folder: Path, box: DeviceKey) -> Path:
    assert new(kerbstone, home, folder).code == 0
    (folder / approvals.REQUEST).write_bytes(box.csr())
    return folder


def test_the_keys_are_for_their_owner_and_nothing_is_made_twice(
    kerbstone: Command, home: Path
) -> None:
    for name in ("ca.key", "server.key", "operator.key"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
    before = (home / "ca.key").read_bytes()
    said = kerbstone("provision", "ca", "--dir", home, "--host", "localhost")
    assert said.code == 2
    assert "there already" in said.err
    assert (home / "ca.key").read_bytes() == before


def test_the_server_s_certificate_is_renewed_and_the_ca_stays(
    kerbstone: Command, home: Path
) -> None:
    ca, server = (home / "ca.pem").read_bytes(), (home / "server.pem").read_bytes()
    said = kerbstone("provision", "ca", "--renew", "--dir", home, "--host", "192.0.2.7")
    assert said.code == 0
    assert (home / "ca.pem").read_bytes() == ca
    assert (home / "server.pem").read_bytes() != server


def test_a_claim_is_written_once_with_its_network(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "psk"
    secret.write_text("secretsecret\n")
    network = [w for each in ("kind=wifi", "ssid=street", f"psk=@{secret}", "ntp=a.city,b.city")
               for w in ("--network", each)]  # fmt: skip
    said = new(kerbstone, home, tmp_path / "card", "--json", *network)
    assert said.code == 0, said.err
    claim = parse_claim((tmp_path / "card" / CLAIM_NAME).read_bytes())
    assert claim.network
    assert claim.network.psk == "secretsecret"
    assert claim.network.ntp == ("a.city", "b.city")
    reported = json.loads(said.out)
    assert reported["claim"] == claim.claim
    assert claim.code not in said.out
    assert "secretsecret" not in said.out
    assert new(kerbstone, home, tmp_path / "card").code == 2


def test_a_secret_that_cannot_be_read_whole_is_not_written_otherwise(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "psk"
    secret.write_bytes(b"caf\xe9caf\xe9")  # Latin-1: as UTF-8 it would be another password
    network = ("--network", "kind=wifi", "--network", "ssid=s", "--network", f"psk=@{secret}")
    said = new(kerbstone, home, tmp_path / "card", *network)
    assert said.code == 2
    assert "must be UTF-8" in said.err
    assert not (tmp_path / "card" / CLAIM_NAME).exists()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--gateway", "GW/17"], "gateway"),
        (["--enrol", "http://x"], "https://host:port"),
        (["--network", "kind"], "KEY=VALUE"),
        (["--network", "kind=wifi"], "ssid"),
        (["--key", "missing.key"], "missing.key"),
        (["--ca", "missing.pem"], "missing.pem"),
    ],
)
def test_what_can_be_no_claim_is_exit_2_and_writes_nothing(
    kerbstone: Command, home: Path, tmp_path: Path, more: list[str], word: str
) -> None:
    said = new(kerbstone, home, tmp_path / "card", *more)
    assert said.code == 2
    assert word in said.err
    assert not (tmp_path / "card" / CLAIM_NAME).exists()


def test_an_operator_s_key_that_others_may_read_is_not_used(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    (home / "operator.key").chmod(0o644)
    said = new(kerbstone, home, tmp_path / "card")
    assert said.code == 2
    assert "chmod 600" in said.err


def test_a_box_is_enrolled_by_stick_labelled_and_revoked(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    box = DeviceKey()
    folder = stick(kerbstone, home, tmp_path / "stick", box)
    wrong = kerbstone("provision", "offline", folder, "--dir", home, "--code", "AAAA-AAAA")
    assert wrong.code == 1
    assert "do not approve" in wrong.err
    waiting = kerbstone("provision", "pending", "--json", "--dir", home)
    (row,) = json.loads(waiting.out)["pending"]
    code = comparison_code(spki(box.key.public_key()))
    assert row["code"] == code
    assert code in kerbstone("provision", "pending", "--dir", home).out
    done = kerbstone("provision", "offline", folder, "--dir", home, "--code", code)
    assert done.code == 0, done.err
    made = x509.load_pem_x509_certificate((folder / approvals.CERTIFICATE).read_bytes())
    assert made.public_key() == box.key.public_key()
    assert kerbstone("provision", "pending", "--dir", home).out == "no box waits for approval\n"

    label = kerbstone("provision", "label", "gw-17", "--dir", home).out.strip()
    assert label == f"https://localhost/d/gw-17#{row['spki'][:16]}"
    gone = kerbstone("provision", "revoke", "gw-17", "--dir", home, "--json")
    assert json.loads(gone.out)["revoked"] == [f"{made.serial_number:x}"]
    crl = x509.load_pem_x509_crl((home / "crl.pem").read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(made.serial_number)
    again = kerbstone("provision", "offline", folder, "--dir", home)
    assert again.code == 1


def test_approve_by_name_and_by_the_beginning_of_the_claim(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    box = DeviceKey()
    folder = stick(kerbstone, home, tmp_path / "stick", box)
    kerbstone("provision", "offline", folder, "--dir", home, "--code", "x")
    claim = parse_claim((folder / CLAIM_NAME).read_bytes()).claim
    code = comparison_code(spki(box.key.public_key()))
    assert kerbstone("provision", "approve", claim[:6], "--dir", home, "--code", "x").code == 1
    said = kerbstone("provision", "approve", claim[:6], "--dir", home, "--code", code, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["state"] == "approved"
    unknown = kerbstone("provision", "approve", "gw-99", "--dir", home)
    assert unknown.code == 2
    assert "provision pending" in unknown.err


@pytest.mark.parametrize("act", [["pending"], ["approve", "x"], ["revoke", "x"], ["serve"]])
def test_a_folder_without_a_server_is_exit_2(
    kerbstone: Command, tmp_path: Path, act: list[str]
) -> None:
    said = kerbstone("provision", *act, "--dir", tmp_path)
    assert said.code == 2
    assert str(tmp_path) in said.err


def test_a_store_that_is_none_is_exit_3(kerbstone: Command, home: Path) -> None:
    (home / "store.db").write_bytes(b"no database" * 100)
    assert kerbstone("provision", "pending", "--dir", home).code == 3


@pytest.mark.parametrize("text", ["x", "days = 0", "unknown = 1", 'listen = "here"'])
def test_a_wrong_policy_is_exit_2(kerbstone: Command, home: Path, text: str) -> None:
    (home / "provision.toml").write_text(text)
    said = kerbstone("provision", "serve", "--dir", home)
    assert said.code == 2
    assert "provision.toml" in said.err


def test_a_configuration_of_another_box_is_not_signed(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site.toml"
    site.write_text('[site]\nid = "s17"\ngateway = "gw-17"\n')
    words = ("provision", "config", site, "--key", home / "operator.key", "--out", home / "configs")
    said = kerbstone(*words, "--gateway", "gw-17")
    assert (said.code, "a table [uplink] with url belongs here" in said.err) == (2, True)
    site.write_text(f'{site.read_text()}[uplink]\nurl = "mqtts://broker.city.example:8883"\n')
    words = ("provision", "config", site, "--key", home / "operator.key", "--out", home / "configs")
    assert kerbstone(*words, "--gateway", "gw-18").code == 2
    assert kerbstone(*words, "--gateway", "gw-17").code == 0
    first = siteconfig.parse_signed_config((home / "configs" / "gw-17.json").read_bytes())
    assert len(base64.b64decode(first.signature)) == 64
    assert first.config == site.read_text()
    assert kerbstone(*words, "--gateway", "gw-17").code == 0  # in the same second
    assert (
        siteconfig.parse_signed_config((home / "configs" / "gw-17.json").read_bytes()).serial
        > first.serial
    )


def test_the_server_runs_as_a_process_until_it_is_told_to_end(home: Path) -> None:
    code = (
        "import sys; from edge.cli import main as m; m.VERBS['provision'] = ''; sys.exit(m.main())"
    )
    words = ["provision", "serve", "--dir", str(home), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:  # fmt: skip
        assert process.stderr
        assert "listening, port" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_proposal_is_listed_shown_written_signed_and_refused(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    folder = ServerDirectory(home).proposals
    assert kerbstone("provision", "proposals", "--dir", home).out == "no box proposes a site file\n"
    assert kerbstone("provision", "proposal", "gw-17", "--dir", home).code == 2
    head = '[site]\nid = "s17"\ngateway = "gw-17"\n[uplink]\nurl = "mqtts://b:8883"\n'
    now = datetime(2026, 12, 1, tzinfo=UTC)

    def send(text: str, number: int, serial: int) -> None:
        new = Proposal(id=f"{number:016x}", text=text, version="0.0.9")
        folder.keep("gw-17", "s17", new, now, "192.0.2.7", serial)

    send(head, 1, 0)
    said = kerbstone("provision", "proposals", "--dir", home)
    assert said.out.split() == [
        "gw-17", "s17", "waiting", "2026-12-01T00:00:00Z", "in", "order", "0.0.9", "192.0.2.7",
    ]  # fmt: skip
    said = kerbstone("provision", "proposal", "gw-17", "--dir", home)
    assert said.code == 0
    assert head.strip() in said.out
    assert "Kerbstone 0.0.9 (here: " in said.out, "a driver may be unknown to the box"
    file = tmp_path / "gw-17.toml"
    said = kerbstone("provision", "proposal", "gw-17", "--out", file, "--dir", home)
    assert (said.code, file.read_text()) == (0, head)
    assert kerbstone("provision", "proposal", "gw-17", "--out", file, "--dir", home).code == 2
    sign = ("provision", "config", file, "--gateway", "gw-17", "--key", home / "operator.key")
    assert kerbstone(*sign, "--out", home / "configs").code == 0
    (row,) = json.loads(kerbstone("provision", "proposals", "--dir", home, "--json").out)[
        "proposals"
    ]
    assert (row["state"], row["check"]) == ("signed", ""), "what is answered is not checked again"

    serial = siteconfig.parse_signed_config((home / "configs/gw-17.json").read_bytes()).serial
    send(f'{head}[lane.x]\nlead = "\u2500"\n', 2, serial)
    said = kerbstone("provision", "proposal", "gw-17", "--dir", home)
    assert said.code == 1, "with mistakes"
    assert "+[lane.x]" in said.lines
    assert f"--- signed, number {serial}" in said.lines
    assert "#   gw-17:6: lane.x." in said.out
    said = kerbstone("provision", "proposal", "gw-17", "--refuse", "no lane x", "--dir", home)
    assert said.code == 0
    assert "refused  2026" in kerbstone("provision", "proposals", "--dir", home).out
    assert kerbstone("provision", "proposal", "gw-18", "--refuse", "x", "--dir", home).code == 2


def test_a_box_that_cannot_use_what_is_signed_is_listed(
    kerbstone: Command, home: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site.toml"
    site.write_text('[site]\nid = "s17"\ngateway = "gw-17"\n[uplink]\nurl = "mqtts://b:8883"\n')
    words = ("provision", "config", site, "--gateway", "gw-17", "--key", home / "operator.key")
    serial = json.loads(kerbstone(*words, "--out", home / "configs", "--json").out)["serial"]
    folder = ServerDirectory(home).reports
    for number, listed in ((serial - 1, False), (serial, True)):
        report = ConfigReport(serial=number, error="line 3: \x1b[2J", version="0.2.0")
        folder.keep(KeptReport(gateway="gw-17", site="s17", received="", report=report))
        said = kerbstone("provision", "proposals", "--dir", home).out
        row = f"does not take configuration number {serial} (Kerbstone 0.2.0): line 3: \\x1b[2J"
        assert (row in said) == listed
