"""What mosquitto reads: all that fits together, or nothing is replaced."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.core import ConfigError
from edge.durable import atomicwrite, fileset
from edge.provision import brokerexport, issuing
from edge.provision.brokerexport import ExportResult
from edge.provision.issuing import IssueRequest
from edge.provision.registry import NamedKind
from tests.kit.enrolment import EnrolmentServer
from tests.kit.power import ProcessKilled

BROKER = IssueRequest(NamedKind.BROKER, "mq-1", ("localhost",))


@pytest.fixture
def world(tmp_path: Path) -> EnrolmentServer:
    """Without its server: nothing here listens."""
    made = EnrolmentServer(tmp_path)
    (tmp_path / "desk").mkdir()
    (tmp_path / "broker").mkdir(mode=0o700)
    return made


def issue(world: EnrolmentServer) -> Path:
    """The broker's new key."""
    store, who = world.home.store(), world.home.authority()
    try:
        issuing.issue_certificate(world.home, store, who, BROKER, world.folder / "desk", world.now)
    finally:
        store.close()
    return world.folder / "desk/mq-1.key"


def put(world: EnrolmentServer, key: Path | None = None, name: str = "mq-1") -> ExportResult:
    store = world.home.store()
    try:
        return brokerexport.export_for_broker(
            world.home, store, name, world.folder / "broker", key, world.now
        )
    finally:
        store.close()


def there(world: EnrolmentServer) -> dict[str, bytes]:
    """What a broker finds under the names of its configuration."""
    files = sorted((world.folder / "broker").iterdir())
    return {path.name: path.read_bytes() for path in files if path.is_file()}


def test_the_names_are_those_of_the_broker_s_configuration(world: EnrolmentServer) -> None:
    put(world, issue(world))
    text = Path("deploy/broker/mosquitto/kerbstone.conf").read_text()
    assert set(there(world)) == {"ca.crt", "crl.pem", "server.crt", "server.key"}
    for name in there(world):
        assert text.count(f" /etc/mosquitto/kerbstone/{name}\n") == text.count("\nlistener ") == 3


def test_the_list_is_signed_anew(world: EnrolmentServer) -> None:
    key = issue(world)
    world.pass_days(40)  # the list that `ca` wrote has ended
    put(world, key)
    crl = x509.load_pem_x509_crl(there(world)["crl.pem"])
    assert crl.next_update_utc is not None
    assert crl.next_update_utc > world.now
    assert there(world)["crl.pem"] == world.home.crl.read_bytes()


def test_a_key_that_stays_with_the_broker_is_left_there(world: EnrolmentServer) -> None:
    key = issue(world)
    assert not put(world).has_key
    assert "server.key" not in there(world)
    (world.folder / "broker/server.key").write_bytes(key.read_bytes())
    assert put(world).has_key


@pytest.mark.parametrize("where", ["in its folder", "brought"])
def test_a_key_that_does_not_fit_replaces_nothing(world: EnrolmentServer, where: str) -> None:
    put(world, issue(world))
    other = world.folder / "other.key"
    if where == "in its folder":
        other = world.folder / "broker/server.key"
    other.write_bytes(world.home.server_key.read_bytes())
    before = there(world)
    with pytest.raises(ConfigError, match="not the key"):
        put(world, other if where == "brought" else None)
    other.write_bytes(b"torn")
    with pytest.raises(ConfigError, match="no private key"):
        put(world, other)
    assert {**there(world), "server.key": b""} == {**before, "server.key": b""}


def test_a_renewal_that_is_not_carried_yet_does_not_keep_the_list_away(
    world: EnrolmentServer,
) -> None:
    put(world, issue(world))
    before = there(world)
    issue(world)
    world.pass_days(1)
    put(world)
    after = there(world)
    assert {name for name in before if before[name] != after[name]} == {"crl.pem"}


def test_a_renewal_replaces_key_and_certificate(world: EnrolmentServer) -> None:
    put(world, issue(world))
    before = there(world)
    key = issue(world)
    put(world, key)
    after = there(world)
    assert after["server.key"] == key.read_bytes() != before["server.key"]
    assert after["server.crt"] != before["server.crt"]
    assert after["ca.crt"] == before["ca.crt"]


def test_a_full_disk_leaves_what_was_there(
    world: EnrolmentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(world, issue(world))
    before, key, write = there(world), issue(world), atomicwrite.write_file

    def full(path: Path, data: bytes, *values: Any, **words: Any) -> None:
        if path.name == "server.crt":
            raise OSError(28, "No space left on device")
        write(path, data, *values, **words)

    monkeypatch.setattr(fileset, "write_file", full)
    with pytest.raises(OSError, match="No space"):
        put(world, key)
    assert there(world) == before


def fits(found: dict[str, bytes]) -> bool:
    key = load_pem_private_key(found["server.key"], None).public_key()
    return key == x509.load_pem_x509_certificate(found["server.crt"]).public_key()


CHANGES = ("replace", "rename", "symlink", "unlink", "mkdir", "rmdir", "link")


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Before the `step`th change of a name. What was to be changed is in the list."""
    asked: list[str] = []

    def change(name: str) -> None:
        real = getattr(os, name)

        def wrapped(*values: object, **words: object) -> object:
            asked.append(name)
            if len(asked) >= step:
                raise ProcessKilled
            return real(*values, **words)

        monkeypatch.setattr(os, name, wrapped)

    for name in CHANGES:
        change(name)
    return asked


@pytest.mark.parametrize("before_it", ["put here", "a key by hand", "files by hand"])
def test_a_renewal_is_read_whole_or_not_at_all_at_any_moment(
    world: EnrolmentServer, before_it: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload that comes between two steps, or a kill: the key fits the certificate, always."""
    folder = world.folder / "broker"
    first = issue(world)
    if before_it == "a key by hand":
        (folder / "server.key").write_bytes(first.read_bytes())
        put(world)
    else:
        put(world, first)
    if before_it == "files by hand":
        for name, data in there(world).items():
            (folder / name).unlink()
            (folder / name).write_bytes(data)
    old, key = there(world), issue(world)
    world.pass_days(1)
    seen = set()
    for step in range(1, 200):
        with monkeypatch.context() as patch:
            asked = killed_at(step, patch)
            with contextlib.suppress(ProcessKilled):
                put(world, key)
        now = there(world)
        assert fits(now), f"killed before step {step}, {asked[-1]}"
        which = [now[name] == old[name] for name in ("server.key", "server.crt", "crl.pem")]
        assert len(set(which)) == 1, f"killed before step {step}, {asked[-1]}: {which}"
        seen.add(which[0])
        if len(asked) < step:
            break
    assert seen == {True, False}, "killed before it, and not killed"
    put(world, key)
    assert len(list(folder.iterdir())) == 6, "four names, and what they lead to; no remains"


def test_a_broker_of_a_group_reads_its_key_and_nobody_else_does(world: EnrolmentServer) -> None:
    key, folder = issue(world), world.folder / "broker"
    put(world, key)
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    folder.chmod(0o750)
    put(world, key)
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o640
    assert (folder / "server.key").stat().st_gid == folder.stat().st_gid


def test_who_is_unknown_ended_or_revoked_gets_nothing(world: EnrolmentServer) -> None:
    with pytest.raises(ConfigError, match="issue broker"):
        put(world)
    key = issue(world)
    world.pass_days(731)
    with pytest.raises(ConfigError, match="issue it again"):
        put(world, key)
    world.now = world.home.authority().certificate.not_valid_before_utc
    key = issue(world)
    store = world.home.store()
    issuing.revoke_named(world.home, store, "mq-1", "superseded", world.now)
    store.close()
    with pytest.raises(ConfigError, match="was revoked: issue it again"):
        put(world, key)
    assert there(world) == {}
