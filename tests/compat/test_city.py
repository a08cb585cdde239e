"""A city that runs this version goes on with what each former one has stored and promised."""

import base64
import json
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgpack
import pytest

import drivers
from edge.cli.main import main
from edge.config import load_site
from edge.identity import httpsclient
from edge.identity.claim import CLAIM_NAME, parse_claim
from edge.identity.floorclock import FloorClock
from edge.identity.siteconfig import has_stored_config
from edge.identity.statefolder import StateFolder
from edge.platform.openstore import open_store
from edge.platform.storetables import APPLICATION_ID, USER_VERSION
from edge.provision.serverdir import ServerDirectory
from edge.provision.serverprocess import ServerProcess
from edge.wire import (
    MSGPACK,
    RAW,
    decode,
    decode_command,
    decode_receipts,
    decode_reconnect_spread,
)
from tests.compat import cityreader
from tests.compat.versions import HERE, VERSIONS, listed, manifest, unpack
from tests.contract.conform import named
from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock
from tests.kit.clock import NTP, JumpingClock
from tests.kit.enrolment import START

STORES: Final = ("city.db", "city.jsonl")
each_version = pytest.mark.parametrize("version", VERSIONS)


@each_version
@pytest.mark.parametrize("name", STORES)
def test_a_store_answers_and_its_audit_finds_nothing(
    version: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, store = manifest(version)["city"][name], unpack(version, "city", tmp_path) / name
    assert cityreader.told_of_city(store) == told
    with closing(open_store(store, write=False)) as opened:
        assert [gw for gw, _ in opened.gateways()] == ["gw-1"]
        found = sorted((*each.key, each.topic, each.payload) for each in opened.records("gw-1"))
    assert found == [tuple(row) for row in cityreader.read_city(store)]
    assert main(["audit", "--store", str(store), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert not [line for line in lines if "finding" in line], lines


@each_version
@pytest.mark.parametrize("name", STORES)
def test_a_store_knows_again_what_it_has(version: str, name: str, tmp_path: Path) -> None:
    store = unpack(version, "city", tmp_path) / name
    with closing(open_store(store, write=True)) as opened:
        some = list(opened.records("gw-1"))[:20]
        assert {each.verdict for each in opened.commit(some, [])} == {"repeat"}
        assert not opened.damage.lines
    told, now = dict(manifest(version)["city"][name]), cityreader.told_of_city(store)
    if name == "city.db":
        assert now.pop("version") == [APPLICATION_ID, USER_VERSION], "it is of this version now"
        del told["version"]
    assert now == told


@each_version
def test_an_identity_is_renewed_by_the_server_that_gave_it(version: str, tmp_path: Path) -> None:
    state = unpack(version, "identity", tmp_path)
    home = ServerDirectory(unpack(version, "provision", tmp_path))
    bundle = StateFolder(state).current()
    assert bundle is not None
    told = manifest(version)["identity"]
    assert bundle.folder.name == told["current"]
    assert listed(state) == told["files"]
    now = START + timedelta(days=61)
    clock = JumpingClock(tq=NTP)
    clock.set_wall(now)
    server = ServerProcess(home, clock, lambda text: None, "127.0.0.1:0", None)
    try:
        _move(bundle.folder / "home.json", server.port)
        box = EnrollingGateway(tmp_path, EnrolmentCity(), NappingClock(now, known=True))
        box.state = state
        box.ask = httpsclient.https_request
        assert has_stored_config(StateFolder(state), bundle.target)
        kept = datetime.fromtimestamp(int((state / "floor").read_text()), UTC)
        assert FloorClock(clock, state).floor == kept
        assert box.renewal().run() == "renewed"
    finally:
        server.close()
    renewed = StateFolder(state).current()
    assert renewed is not None
    assert renewed.certificate.serial_number != bundle.certificate.serial_number
    assert renewed.certificate.subject == bundle.certificate.subject


def _move(file: Path, port: int) -> None:
    """The server listens at another port than it did."""
    home = json.loads(file.read_text())
    host, _, _ = home["enrol"].rpartition(":")
    file.write_text(json.dumps({**home, "enrol": f"{host}:{port}"}))


@each_version
def test_a_claim_is_read(version: str) -> None:
    claim = parse_claim((HERE / version / "claim" / CLAIM_NAME).read_bytes())
    assert claim.gateway == "gw-9"


def _site_files() -> list[Any]:
    places = ("site/*.toml", *(f"{box}/site.toml" for box in ("street", "full", "ill")))
    files = [path for name in VERSIONS for each in places for path in (HERE / name).glob(each)]
    return [pytest.param(path, id=str(path.relative_to(HERE))) for path in files]


@pytest.mark.parametrize("file", _site_files())
def test_a_site_file_is_still_accepted(file: Path, tmp_path: Path) -> None:
    text = file.read_text().replace("@dir@", str(tmp_path)).replace("@broker@", "mqtt://localhost")
    (tmp_path / "site.toml").write_text(text)
    site = load_site(tmp_path / "site.toml", drivers.catalogue())
    assert site.place.gateway == tomllib.loads(text)["site"]["gateway"]


def _examples() -> list[Any]:
    found = []
    for version in VERSIONS:
        for path in sorted((HERE / version / "contract").glob("*.json")):
            for number, example in enumerate(json.loads(path.read_text("utf-8"))):
                found.append(pytest.param(example, id=f"{version}-{path.stem}-{number}"))
    return found


@pytest.mark.parametrize("example", _examples())
def test_a_message_is_still_understood(example: dict[str, Any]) -> None:
    payload, kind = dict(example["payload"]), example["content_type"]
    if "tables" in payload:
        payload["tables"] = base64.b64decode(payload["tables"])
    data = msgpack.packb(payload) if kind in (MSGPACK, RAW) else json.dumps(payload).encode()
    topic = example["topic"].split("/")
    if "down" not in topic:
        (message,) = decode(example["topic"], data, kind)
        assert message.sent == payload
        named(message)
    elif "cmd" in topic:
        assert decode_command(topic[-1], data, payload["gw"]).epoch == payload["epoch"]
    elif topic[-1] == "reconnect_spread":
        assert decode_reconnect_spread(data) > 0
    else:
        assert len(decode_receipts(data, payload["gw"])) == len(payload["receipts"])
