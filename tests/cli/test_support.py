"""`kerbstone support`: what is in the archive of a box, and that no secret of it is."""

import base64
import json
import os
import stat
import sys
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest

from edge.cli.main import main
from edge.diagnose.redaction import Redactor
from edge.diagnose.siteextract import without_remarks
from edge.diagnose.supportarchive import (
    CUT,
    ITEM_LIMIT,
    BoxPlaces,
    ItemError,
    SupportItem,
    box_secrets,
    support_items,
    write_archive,
)
from edge.identity.pageaccess import access_page
from tests.kit.certificates import CertificateAuthority

SECRETS = {
    "password of the broker": 'corr"ect hörse',
    "password of a meter": "meter-low-level-8",
    "passphrase of the Wi-Fi": "rain on the cabinet",
    "password of the mobile network": "apn,pass;word",
    "PIN of the SIM": "4711",
    "code of the claim": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "code of the claim on the card": "ZYXWVUTSRQPONMLKJIHGFEDCBA",
    "profile of NetworkManager": "network-manager-psk",
    "password of a proxy": "r@in/on:proxy",
    "password of a drop-in": "drop-in-secret-3",
    "token in the name of the user": "sv=2026-S3CRuser",
    "password in the name of the site": "S3CRname!",
    "key of the access point": "abcd-efgh-jkmn-pqrs",
    "key of the access point in the claim": "wxyz-2345-6789-abcd",
    "hash of the page's secret": "scrypt$16384$8$1$c2FsdHNhbHQ=$aGFzaGhhc2g=",
    "secret of the page on the card": "nnnn-pppp-qqqq-rrrr",
}
REMARKS = ("heslo S3CRheslo", "Basic YTpTM0NSYmFzaWM=")  # what only a remark tells


@pytest.fixture
def box(tmp_path: Path) -> tuple[BoxPlaces, dict[str, str]]:
    """A box with each secret that one can have, and what may not be in its archive."""
    places = BoxPlaces(
        tmp_path / "site.toml", tmp_path / "identity", tmp_path / "etc", tmp_path / "boot",
        tmp_path / "profiles", tmp_path / "units",
    )  # fmt: skip
    drop_in = places.units / "kerbstone.service.d"
    for each in (
        places.identity / "current",
        places.settings,
        places.boot,
        places.profiles,
        drop_in,
    ):
        each.mkdir(parents=True)
    values = [*SECRETS.values()]
    password = tmp_path / "mqtt.password"
    password.write_text(values[0] + "\n")
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue("box")
    identity_certificate, identity_key = authority.issue("identity")
    (places.identity / "current" / "cert.pem").write_bytes(identity_certificate.read_bytes())
    (places.identity / "current" / "key.pem").write_bytes(identity_key.read_bytes())
    for each in (password, key):
        each.chmod(0o600)
    places.site_file.write_text(
        f"""
[site]
id = "s"
name = "Box 3, Passwort {values[11]}"  # {REMARKS[0]} # {REMARKS[1]}
gateway = "gw-9"
[store]
dir = "{tmp_path}/store"
run_dir = "{tmp_path}/run"
[uplink]
url = "mqtts://localhost"
username = "{values[10]}"
password_file = "{password}"
ca = "{authority.path}"
cert = "{certificate}"
key = "{key}"
[bus.meters]
kind = "serial"
port = "{tmp_path}/tty"
[device.hall]
driver = "dlms"
bus = "meters"
password = "{values[1]}"  # the old one was {values[0]}
"""
    )
    network = {"kind": "wifi", "psk": values[2], "password": values[3], "pin": values[4]}
    (places.identity / "network.json").write_text(json.dumps(network))
    (places.identity / "claim.toml").write_text(
        f'v = 1\ncode = "{values[5]}"\naccess.wifi_psk = "{values[13]}"\n'
    )
    (places.identity / "access-point.json").write_text(
        json.dumps({"network": "kerbstone-gw-9", "psk": values[12]})
    )
    (places.identity / "login.secret").write_text(values[14] + "\n")
    page = access_page("kerbstone-gw-9", values[12], values[15])
    (places.boot / "kerbstone-access.txt").write_text(page)
    (places.boot / "kerbstone-claim.toml").write_text(f'code = "{values[6]}"\n')
    (places.boot / "kerbstone-status.txt").write_text("state: enrolled\n")
    (places.profiles / "k.nmconnection").write_text(f"[wifi-security]\npsk={values[7]}\n")
    (places.settings / "proxy.conf").write_text(f"proxy = http://me:{quote(values[8])}@proxy:1\n")
    (drop_in / "own.conf").write_text(f'[Service]\nEnvironment="A_PASS={values[9]}" "B=c"\n')
    secrets = dict(SECRETS)
    for name, file in (("key of the uplink", key), ("key of the identity", identity_key)):
        for number, line in enumerate(file.read_text().splitlines()[1:-1]):
            secrets[f"{name}, line {number}"] = line
    return places, secrets


def journal_of(folder: Path, secrets: dict[str, str]) -> None:
    """A journalctl whose log has told every secret, as programs write it."""
    rows = []
    for secret in secrets.values():
        rows += [
            f"refused {secret}",
            json.dumps({"said": secret}),
            f"GET /?p={quote(secret)}",
            repr(secret),
            secret.encode().hex(),
            f"Authorization: Basic {base64.b64encode(b'gw:' + secret.encode()).decode()}",
        ]
    (folder / "journal").write_text("\n".join([*rows, "the last line"]) + "\n")
    program = folder / "journalctl"
    program.write_text(f"#!/bin/sh\ncat {folder}/journal\n")
    program.chmod(0o755)


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {
            each.name.partition("/")[2]: reader.read()
            for each in archive
            if (reader := archive.extractfile(each)) is not None
        }


def forms(secret: str) -> set[bytes]:
    return {
        secret.encode(), json.dumps(secret)[1:-1].encode(), quote(secret).encode(),
        secret.encode().hex().encode(), repr(secret)[1:-1].encode(),
    }  # fmt: skip


def test_no_secret_of_the_box_is_in_it(
    box: tuple[BoxPlaces, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, secrets = box
    programs = tmp_path / "bin"
    programs.mkdir()
    journal_of(programs, secrets)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert box_secrets(places) >= {each.encode() for each in secrets.values()}
    out = tmp_path / "box.tar.gz"
    with out.open("wb") as file:
        written = write_archive(
            file, "box", support_items(places), Redactor(box_secrets(places)), 0, "head"
        )
    found = members(out)
    assert not any(each.problem for each in written if each.item.name.endswith(".json"))
    for name, secret in secrets.items():
        for file_name, data in found.items():
            for form in forms(secret):
                assert form not in data, f"the {name} is in {file_name}"
    assert b"the last line" in found["log.txt"]
    assert b'username = "[removed]"' in found["site.toml"]
    assert not any(each.encode() in data for each in REMARKS for data in found.values())
    assert found["site.toml"].count(b"\n") == places.site_file.read_bytes().count(b"\n")
    assert b"remarks (what stands behind #) are left out" in found["README.txt"]
    assert b'password = "[removed]"' in found["site.toml"]
    assert b"BEGIN CERTIFICATE" in found["certificate.pem"]
    assert b"places with secrets emptied" in found["README.txt"]


@pytest.mark.parametrize(
    ("more", "secret"),
    [("", True), ('password_file = "/nowhere"\n', False), ('cert = "/nowhere"\n', False)],
)
def test_a_user_without_a_password_is_an_access_token(
    tmp_path: Path, more: str, secret: bool
) -> None:
    file = tmp_path / "site.toml"
    for user, found in (("token-17", secret), ("gw-9", False), ("S3CRuser", True)):
        text = f'[uplink]\nurl = "mqtts://x"\nusername = "{user}"\n{more}'
        file.write_text(f'{text}\n[site]\ngateway = "gw-9"\n')
        assert (user.encode() in box_secrets(BoxPlaces(file, *[tmp_path / "none"] * 5))) is found


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('a = "x # y" # z', 'a = "x # y"'),
        ("a = 'x # y'\t# it's \"z\"", "a = 'x # y'"),
        ("# whole\r\na = 1\r\n", "\r\na = 1\r\n"),
        ("a = it's # the driver's", "a = it's"),
        ('a = """\nb = 1 # z', 'a = """\nb = 1'),
    ],
)
def test_remarks_are_left_out_also_of_a_file_that_is_wrong(text: str, left: str) -> None:
    assert without_remarks(text.encode()) == left.encode()


def test_a_key_without_its_armour_is_known_where_it_belongs(tmp_path: Path) -> None:
    file, key = tmp_path / "site.toml", tmp_path / "own.key"
    key.write_text("QWxsIGtleXMgYXJlIHNlY3JldHM=\n")
    file.write_text(f'[uplink]\nurl = "mqtts://x"\ncert = "x"\nkey = "{key}"\n')
    assert b"QWxsIGtleXMgYXJlIHNlY3JldHM=" in box_secrets(BoxPlaces(file, *[tmp_path / "none"] * 5))


def test_only_the_owner_may_read_it_and_there_is_no_half_one(
    box: tuple[BoxPlaces, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    leave = [name for each in support_items(box[0]) if (name := each.name) != "site.toml"]
    words = ["support", "--config", str(box[0].site_file)]
    for name in leave:
        words += ["--without", name]
    assert main(words) == 0
    (made,) = tmp_path.glob("kerbstone-support-gw-9-*.tar.gz")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert set(members(made)) == {"site.toml", "README.txt"}
    assert main([*words, "--out", str(tmp_path / "no" / "where.tar.gz")]) == 3
    assert main([*words, "--out", "/dev/full/x"]) == 3
    assert not list(tmp_path.glob("*.new"))


def test_what_cannot_be_had_is_a_line_and_the_rest_is_there(tmp_path: Path) -> None:
    def gone() -> bytes:
        raise ItemError("the daemon\nhas hung up")

    def forbidden() -> bytes:
        raise PermissionError(13, "Permission denied")

    items = [
        SupportItem("a.txt", "a", gone),
        SupportItem("b.txt", "b", forbidden),
        SupportItem("c.txt", "c", lambda: b"x" * 20 + b"\n" + b"y\n" * ITEM_LIMIT),
    ]
    out = tmp_path / "x.tar.gz"
    with out.open("wb") as file:
        write_archive(file, "x", items, Redactor(), 0, "head")
    found = members(out)
    assert set(found) == {"c.txt", "README.txt"}
    assert found["c.txt"].startswith(CUT + b"y\n")
    assert len(found["c.txt"]) <= ITEM_LIMIT + len(CUT)
    assert b"not there: the daemon has hung up" in found["README.txt"]
    assert b"not there: Permission denied" in found["README.txt"]


def test_a_program_that_hangs_or_floods_costs_only_its_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: tuple[BoxPlaces, dict[str, str]]
) -> None:
    for name, text in (
        ("ip", "#!/bin/sh\nexec sleep 60\n"),
        ("df", f"#!{sys.executable}\nprint('z' * 99 * 1024 * 1024)\n"),
        ("lsusb", "#!/bin/sh\necho no >&2; exit 7\n"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    items = {each.name: each for each in support_items(box[0], limit_s=3.0)}
    with pytest.raises(ItemError, match="no answer within"):
        items["addresses.txt"].read()
    with pytest.raises(ItemError, match="lsusb ended with 7: no"):
        items["usb.txt"].read()
    assert len(items["disks.txt"].read()) <= 2 * ITEM_LIMIT + (1 << 16)


def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "--without", "nothing.txt"]) == 2
    assert "--list shows the names" in capsys.readouterr().err
    assert main(["support", "--list"]) == 0
    assert "site.toml" in capsys.readouterr().out


def test_nothing_of_the_folder_in_which_somebody_stands_is_run(
    box: tuple[BoxPlaces, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sudo, in /tmp, a stranger's file would run as root."""
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "argparse.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    monkeypatch.chdir(trap)
    items = {each.name: each for each in support_items(box[0])}
    assert b"gateway" in items["check.txt"].read()
    assert items["outbox.json"].read()
    assert not (tmp_path / "sprung").exists()
