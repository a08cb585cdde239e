"""What mosquitto reads: all that fits together, or nothing is replaced."""

from pathlib import Path

import pytest
from cryptography import x509

from edge.core import ConfigError
from edge.provision import export, files, issuing
from edge.provision.export import Put
from edge.provision.issuing import Wanted
from edge.provision.rows import Kind
from tests.provision.world import World

BROKER = Wanted(Kind.BROKER, "mq-1", ("localhost",))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Without its server: nothing here listens."""
    made = World(tmp_path)
    (tmp_path / "desk").mkdir()
    (tmp_path / "broker").mkdir(mode=0o700)
    return made


def issue(world: World) -> Path:
    """The broker's new key."""
    store, who = world.home.store(), world.home.authority()
    try:
        issuing.issue(world.home, store, who, BROKER, world.folder / "desk", world.now)
    finally:
        store.close()
    return world.folder / "desk/mq-1.key"


def put(world: World, key: Path | None = None, name: str = "mq-1") -> Put:
    store = world.home.store()
    try:
        return export.put(world.home, store, name, world.folder / "broker", key, world.now)
    finally:
        store.close()


def there(world: World) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((world.folder / "broker").iterdir())}


def test_the_names_are_those_of_the_broker_s_configuration(world: World) -> None:
    put(world, issue(world))
    text = Path("deploy/broker/mosquitto/kerbstone.conf").read_text()
    assert set(there(world)) == {"ca.crt", "crl.pem", "server.crt", "server.key"}
    for name in there(world):
        assert text.count(f" /etc/mosquitto/kerbstone/{name}\n") == 2


def test_the_list_is_signed_anew(world: World) -> None:
    key = issue(world)
    world.pass_days(40)  # the list that `ca` wrote has ended
    put(world, key)
    crl = x509.load_pem_x509_crl(there(world)["crl.pem"])
    assert crl.next_update_utc is not None
    assert crl.next_update_utc > world.now
    assert there(world)["crl.pem"] == world.home.crl.read_bytes()


def test_a_key_that_stays_with_the_broker_is_left_there(world: World) -> None:
    key = issue(world)
    assert not put(world).has_key
    assert "server.key" not in there(world)
    (world.folder / "broker/server.key").write_bytes(key.read_bytes())
    assert put(world).has_key


@pytest.mark.parametrize("where", ["in its folder", "brought"])
def test_a_key_that_does_not_fit_replaces_nothing(world: World, where: str) -> None:
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


def test_a_renewal_that_is_not_carried_yet_does_not_keep_the_list_away(world: World) -> None:
    put(world, issue(world))
    before = there(world)
    issue(world)
    world.pass_days(1)
    put(world)
    after = there(world)
    assert {name for name in before if before[name] != after[name]} == {"crl.pem"}


def test_a_renewal_replaces_key_and_certificate(world: World) -> None:
    put(world, issue(world))
    before = there(world)
    key = issue(world)
    put(world, key)
    after = there(world)
    assert after["server.key"] == key.read_bytes() != before["server.key"]
    assert after["server.crt"] != before["server.crt"]
    assert after["ca.crt"] == before["ca.crt"]


def test_a_full_disk_leaves_what_was_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put(world, issue(world))
    before, key, stage = there(world), issue(world), files._stage

    def full(part: files.Part) -> Path:
        if part.path.name == "server.crt":
            raise OSError(28, "No space left on device")
        return stage(part)

    monkeypatch.setattr(files, "_stage", full)
    with pytest.raises(OSError, match="No space"):
        put(world, key)
    assert there(world) == before


def test_a_broker_of_a_group_reads_its_key_and_nobody_else_does(world: World) -> None:
    key, folder = issue(world), world.folder / "broker"
    put(world, key)
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    folder.chmod(0o750)
    put(world, key)
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o640
    assert (folder / "server.key").stat().st_gid == folder.stat().st_gid


def test_who_is_unknown_ended_or_revoked_gets_nothing(world: World) -> None:
    with pytest.raises(ConfigError, match="issue broker"):
        put(world)
    key = issue(world)
    world.pass_days(731)
    with pytest.raises(ConfigError, match="issue it anew"):
        put(world, key)
    world.now = world.home.authority().certificate.not_valid_before_utc
    key = issue(world)
    store = world.home.store()
    issuing.revoke(world.home, store, "mq-1", "superseded", world.now)
    store.close()
    with pytest.raises(ConfigError, match="was revoked: issue it anew"):
        put(world, key)
    assert there(world) == {}
