"""The brokers' files that ship, as rules: whatever they let a gateway write stays its own."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from deploy.broker.rabbitmq import gateways
from edge.wire import Topics, WireError, gateway_of, parse_topic
from tests.hostile.attempts import EVIL, SITE, VICTIM, topics

ROOT = Path(__file__).parents[2]
BROKER = ROOT / "deploy/broker"
MOUNT = "city/"
NAME = r"\A[a-z0-9_][a-z0-9_-]{0,63}\Z"


def mosquitto(verb: str, name: str) -> list[str]:
    """Filters of the ACL, as a client sees them."""
    text = (BROKER / "mosquitto/acl").read_text()
    found = re.findall(rf"^(?:pattern|topic) {verb} {MOUNT}(\S+)$", text, re.MULTILINE)
    return [each.replace("%u", name) for each in found if ("%u" in each) == (name != "platform")]


def emqx(verb: str, name: str) -> list[str]:
    text = (BROKER / "untested/emqx-acl.conf").read_text()
    who = '{user, "platform"}' if name == "platform" else "all"
    lists = re.findall(rf"^{{allow, {re.escape(who)}, {verb}, \[(.*)\]}}\.$", text, re.MULTILINE)
    found = re.findall(r'"([^"]+)"', " ".join(lists))
    return [each.replace("${username}", name) for each in found]


def written_to_mosquitto(topic: str, name: str) -> str | None:
    """How it arrives, None: it is refused."""
    allowed = any(topic_matches_sub(each, topic) for each in mosquitto("write", name))
    return topic if allowed else None


def written_to_emqx(topic: str, name: str) -> str | None:
    allowed = any(topic_matches_sub(each, topic) for each in emqx("publish", name))
    return topic if allowed else None


def written_to_rabbitmq(topic: str, name: str) -> str | None:
    """A slash becomes a dot and comes out as a slash, and so does a dot."""
    key = topic.replace("/", ".").replace("+", "*")
    allowed = re.search(gateways.topics(name)["write"], key)
    return key.replace(".", "/").replace("*", "+") if allowed else None


Written = Callable[[str, str], str | None]
WRITTEN: list[Written] = [written_to_mosquitto, written_to_emqx, written_to_rabbitmq]


@pytest.mark.parametrize("written", WRITTEN)
@given(topic=topics())
def test_what_a_gateway_may_write_is_nobody_elses(written: Written, topic: str) -> None:
    assume("\0" not in topic)
    arrived = written(topic, EVIL)
    if arrived is None:
        return
    assert gateway_of(arrived) in (EVIL, ""), arrived
    try:
        place = parse_topic(arrived)
    except WireError:
        return
    assert place.gw == EVIL
    assert place.branch == f"kerbstone/v1/{place.site}/{EVIL}"


@pytest.mark.parametrize("written", WRITTEN)
@given(site=st.from_regex(NAME), word=st.from_regex(NAME))
def test_what_a_gateway_has_to_say_it_may_write(written: Written, site: str, word: str) -> None:
    made = Topics("kerbstone/v1", site, EVIL)
    own = [made.status, made.meta, made.last(word), made.answer(word), f"{made.up}/raw"]
    own += [f"{made.up}/{kind}/{word}" for kind in ("air", "event", "manifest")]
    for topic in own:
        assert written(topic, EVIL) == topic
        assert written(topic, VICTIM) is None
        assert parse_topic(topic).gw == EVIL


def test_no_file_lets_anybody_go_on_behind_up() -> None:
    for path in BROKER.rglob("*"):
        if path.is_file() and path.suffix not in (".pyc",) and "cluster" not in path.name:
            assert "up/#" not in path.read_text(), path
    for page in ("docs/platform.md", "docs/brokers.md"):
        acl = re.findall(r"^(?:pattern|topic|user) .*$", (ROOT / page).read_text(), re.MULTILINE)
        assert not [line for line in acl if "up/#" in line], page


def test_the_platform_reads_what_the_wire_format_has_and_no_deeper() -> None:
    wanted = ["kerbstone/v1/+/+/up/+", "kerbstone/v1/+/+/up/+/+"]
    assert mosquitto("read", "platform") == wanted
    assert emqx("subscribe", "platform") == wanted
    rights = json.loads((BROKER / "rabbitmq/definitions.json").read_text())["topic_permissions"]
    (platform,) = [each for each in rights if each["user"] == "platform"]
    for name in wanted:
        assert re.search(platform["read"], name.replace("/", ".").replace("+", "*"))
    for name in ("kerbstone.v1.*.*.up.#", "kerbstone.v1.#", "#", "kerbstone.v1.*.*.up.*.*.*"):
        assert not re.search(platform["read"], name)


def test_a_gateway_whose_site_is_known_writes_there_only() -> None:
    rule = gateways.topics(EVIL, {SITE, "nord"})["write"]
    for site, allowed in ((SITE, True), ("nord", True), ("sued", False), ("mitt", False)):
        assert bool(re.search(rule, f"kerbstone.v1.{site}.{EVIL}.up.air.hut")) == allowed
