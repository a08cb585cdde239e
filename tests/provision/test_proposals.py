"""What a box proposes: kept for that box alone, bounded, and without any force of its own."""

import json
from pathlib import Path

import pytest

from edge.core import ConfigError
from edge.identity.proposal import (
    PROPOSAL_LIMIT,
    Proposal,
    ProposalStanding,
    encode_proposal,
)
from edge.provision import operatordocs
from edge.provision.proposals import PROPOSALS_AN_HOUR
from tests.kit.enrolment import DeviceKey, EnrolmentServer, Reply

SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n'
JSON = {"Content-Type": "application/json"}


def message(text: str = SITE, number: int = 1) -> bytes:
    return encode_proposal(Proposal(id=f"{number:016x}", text=text, version="0.3.0"))


def post(world: EnrolmentServer, identity: Path | None, body: bytes) -> Reply:
    return world.ask("proposal", body, JSON, identity)


def standing(reply: Reply) -> ProposalStanding:
    return ProposalStanding(**json.loads(reply.body))


def sign(world: EnrolmentServer, gateway: str = "gw-17") -> int:
    file = world.folder / "site.toml"
    file.write_text(SITE.replace("gw-17", gateway))
    return operatordocs.sign_config(file, gateway, world.operator, world.home.configs, world.now)[1]


@pytest.fixture
def box(world: EnrolmentServer) -> Path:
    return world.enrolled(DeviceKey())[2]


def test_a_proposal_waits_is_signed_or_refused_and_the_box_is_told(
    world: EnrolmentServer, box: Path
) -> None:
    assert standing(world.ask("proposal", identity=box)).state == "none"
    reply = post(world, box, message())
    assert (reply.status, standing(reply).state, standing(reply).serial) == (202, "waiting", 0)
    assert world.home.config("gw-17") is None, "it has no force"
    world.home.proposals.refuse("gw-17", "lane 2 is missing")
    told = standing(world.ask("proposal", identity=box))
    assert (told.state, told.reason) == ("refused", "lane 2 is missing")
    assert standing(post(world, box, message())).state == "refused", "once more changes nothing"
    assert standing(post(world, box, message(number=2))).state == "waiting"
    serial = sign(world)
    told = standing(world.ask("proposal", identity=box))
    assert (told.id, told.state, told.serial) == (f"{2:016x}", "signed", serial)
    assert standing(post(world, box, message(number=3))).state == "waiting", "a later one is open"


def test_what_was_sent_is_kept_over_a_restart_of_the_server(
    world: EnrolmentServer, box: Path
) -> None:
    post(world, box, message())
    world.close()
    world.start()
    assert standing(world.ask("proposal", identity=box)).state == "waiting"
    (kept,) = world.home.proposals.all()
    assert (kept.gateway, kept.text, kept.version) == ("gw-17", SITE, "0.3.0")


def test_no_box_proposes_for_another(world: EnrolmentServer, box: Path) -> None:
    other = world.enrolled(DeviceKey("gw-18"), role="counter")[2]
    for text in (SITE.replace("gw-17", "gw-18"), SITE.replace("s17", "s18"), "[site]\n", "x = 1\n"):
        reply = post(world, box, message(text))
        assert (reply.status, reply.code) == (403, "forbidden"), text
    post(world, box, message())
    assert standing(world.ask("proposal", identity=other)).state == "none"
    assert [each.gateway for each in world.home.proposals.all()] == ["gw-17"]


def test_nobody_proposes_without_a_certificate_that_is_good(
    world: EnrolmentServer, box: Path
) -> None:
    assert post(world, None, message()).code == "unknown"
    assert world.ask("proposal").code == "unknown"
    world.revoke("gw-17")
    assert post(world, box, message()).code == "revoked"
    assert world.ask("proposal", identity=box).code == "revoked"
    assert world.home.proposals.all() == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"\xff", b'{"id": "1", "text": "x"}', b"[" * 50_000,
        json.dumps({"id": "0" * 16, "text": ""}).encode(),
        json.dumps({"id": "0" * 16, "text": f"{SITE}# \x1b[2J\n"}).encode(),
        json.dumps({"id": "0" * 16, "text": f"{SITE}# \u202e\n"}).encode(),
        json.dumps({"id": "0" * 16, "text": f"{SITE}# \r\n"}).encode(),
        json.dumps({"id": "../../../../etc/x", "text": SITE}).encode(),
        json.dumps({"id": "0" * 16, "text": SITE, "version": "\x1b"}).encode(),
        json.dumps({"id": "0" * 16, "text": "[site"}).encode(),
        json.dumps({"id": "0" * 16, "text": "x = " + "[" * 5000}).encode(),
        json.dumps({"id": "0" * 16, "text": "a." * 1000 + f"a = 1\n{SITE}"}).encode(),
        json.dumps({"id": "0" * 16, "text": f"a = {'1' * 5000}\n{SITE}"}).encode(),
        json.dumps({"id": "0" * 16, "text": SITE + "#" * PROPOSAL_LIMIT}).encode(),
        json.dumps({"v": 2, "id": "0" * 16, "text": SITE}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_proposal_is_refused_and_not_kept(
    world: EnrolmentServer, box: Path, body: bytes
) -> None:
    reply = post(world, box, body)
    assert (reply.status, reply.code) == (400, "malformed")
    assert b"\x1b" not in reply.body
    assert world.home.proposals.all() == []


def test_wrong_type_wrong_method_and_too_much_are_refused(
    world: EnrolmentServer, box: Path
) -> None:
    assert world.ask("proposal", message(), identity=box).status == 415
    assert world.ask("proposal", message(), JSON, box, method="PUT").status == 405
    assert post(world, box, b"x" * (65 << 10)).status == 413


def test_a_box_in_a_loop_is_stopped_and_may_go_on_an_hour_later(
    world: EnrolmentServer, box: Path
) -> None:
    for number in range(PROPOSALS_AN_HOUR):
        assert post(world, box, message(number=number)).status == 202
    assert post(world, box, message(number=99)).status == 429
    assert standing(world.ask("proposal", identity=box)).id == f"{PROPOSALS_AN_HOUR - 1:016x}"
    world.pass_days(1 / 23)
    assert post(world, box, message(number=99)).status == 202


def test_a_damaged_file_is_said_and_the_next_proposal_waits_for_a_hand(
    world: EnrolmentServer, box: Path
) -> None:
    post(world, box, message())
    file = world.home.proposals.folder / "gw-17.json"
    file.write_bytes(b"{")
    assert world.ask("proposal", identity=box).status == 503
    assert post(world, box, message(number=2)).status == 503
    assert any("gw-17.json" in line and "remove this file" in line for line in world.log)
    with pytest.raises(ConfigError, match="remove this file"):
        world.home.proposals.all()
    file.unlink()
    assert post(world, box, message(number=2)).status == 202


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_a_refusal_says_why(world: EnrolmentServer, box: Path, reason: str) -> None:
    post(world, box, message())
    with pytest.raises(ConfigError, match="say why"):
        world.home.proposals.refuse("gw-17", reason)
    with pytest.raises(ConfigError, match="no proposal"):
        world.home.proposals.refuse("gw-18", "why")
    with pytest.raises(ConfigError, match="not a gateway name"):
        world.home.proposals.refuse("../x", "why")


def test_a_box_says_why_it_does_not_take_what_was_signed(world: EnrolmentServer, box: Path) -> None:
    report = {"serial": 7, "error": "line 5: \x1b[2J", "version": "0.2.0"}
    assert world.ask("report", json.dumps(report).encode(), JSON, box).status == 202
    assert (
        world.ask("report", json.dumps({**report, "serial": 8}).encode(), JSON, box).status == 202
    )
    (kept,) = world.home.reports.all()
    assert (kept.gateway, kept.report.serial, kept.report.error) == ("gw-17", 8, "line 5: \x1b[2J")
    for body in (b"", b"[" * 50_000, json.dumps({**report, "error": "x" * 301}).encode()):
        assert world.ask("report", body, JSON, box).code == "malformed"
    assert world.ask("report", json.dumps(report).encode(), JSON).code == "unknown"
    (world.home.reports.folder / "gw-17.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match="remove this file"):
        world.home.reports.all()
