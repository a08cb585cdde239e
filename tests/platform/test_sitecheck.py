"""Under which name and site a record was filed: what a store holds of a gateway is its own."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import ConfigError
from edge.platform.audit import audit_store
from edge.platform.keepquota import COVERS, EXCESS, KEPT_PER_KIND, RATE, KeepQuota
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage
from edge.platform.sitecheck import (
    REREAD_NS,
    SITES_SHOWN,
    AllowedSites,
    SiteCheck,
    parse_site_list,
    refused_findings,
)
from edge.provision.gatewaystore import GatewayStore as Desk
from edge.provision.registry import ClaimRequest, ClaimState
from tests.kit.records import E1, GW, TOPICS, entry, record

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def at(number: int, site: str) -> ReceivedRecord:
    one = entry(record(number))
    return replace(one, topic=one.topic.replace("/stadt/", f"/{site}/"))


def found(*entries: ReceivedRecord, sites: AllowedSites | None = None) -> list[tuple[str, str]]:
    filed = SiteCheck(GW, sites=sites)
    taken = [filed.take(each) for each in entries]
    return [(each.kind, each.text) for each in (*taken, *filed.findings()) if each is not None]


def known(path: Path, text: str) -> AllowedSites:
    path.write_text(text)
    return AllowedSites(path)


def test_two_sites_of_one_gateway_are_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "city.db"
    store = open_store(path, write=True)
    store.commit([at(1, "stadt"), at(2, "nord"), at(3, "nord"), at(4, "stadt")], [])
    (done,) = audit_store(store)
    (finding,) = [each for _, each in done.findings if each.kind == "site"]
    assert finding.text == f"{GW} publishes under nord, and also under stadt: see {GW} {E1}/air/2"
    assert finding.place == (GW, E1, "air", 2)
    assert done.branch == TOPICS.up.removesuffix("/up")
    store.close()


def test_one_site_is_none_and_a_known_one_counts_before_the_first(tmp_path: Path) -> None:
    assert found(at(1, "stadt"), at(2, "stadt")) == []
    sites = known(tmp_path / "sites", f"{GW} nord")
    ((kind, text),) = found(at(1, "stadt"), at(2, "nord"), sites=sites)
    assert kind == "site"
    assert text.startswith(f"{GW} publishes under stadt, but belongs to nord:")
    assert (
        found(at(1, "stadt"), at(2, "nord"), sites=known(tmp_path / "s", f"{GW} nord stadt")) == []
    )


def test_a_gateway_that_makes_up_sites_is_told_in_few_sentences() -> None:
    reported = found(*(at(number, f"s{number}") for number in range(1, 500)))
    assert len(reported) == SITES_SHOWN
    assert (
        reported[-1][1]
        == f"{GW}: it uses more than {SITES_SHOWN} sites: {499 - SITES_SHOWN} more records"
    )


@pytest.mark.parametrize("topic", [
    f"kerbstone/v1/stadt/gw-evil/up/stadt/{GW}/up/air/hut",
    "kerbstone/v1/stadt/gw-evil/up/air/hut", "x",
    f"kerbstone/v2/stadt/{GW}/up/air/hut", f"{TOPICS.up}/air/hut/more",
])  # fmt: skip
def test_a_record_of_another_branch_is_told_and_not_audited_as_its_own(
    tmp_path: Path, topic: str
) -> None:
    """As a store holds it that an older version, or somebody else, has written."""
    store = open_store(tmp_path / "city.db", write=True)
    store.commit([entry(record(1)), replace(entry(record(2)), topic=topic), entry(record(3))], [])
    (done,) = audit_store(store)
    assert {each.kind for _, each in done.findings} == {"foreign", "missing", "nothing"}
    assert topic in str([each.text for _, each in done.findings if each.kind == "foreign"])
    assert done.missing == {(E1, "air"): [(2, 2)]}
    store.close()


@pytest.mark.parametrize("name", ["city.db", "city.jsonl"])
def test_what_was_refused_of_a_gateway_is_a_finding_also_when_it_has_no_record(
    tmp_path: Path, name: str
) -> None:
    store = open_store(tmp_path / name, write=True)
    store.commit([], [RefusedMessage("foreign", "gw-evil", "t", "why", 1, b"x", "now")] * 3)
    store.commit([], [RefusedMessage("undecodable", "gw-2", "t", "why", 1, b"x", "now")])
    ((gw, finding),) = refused_findings(store)
    assert (gw, finding.kind) == ("gw-evil", "foreign")
    assert "3 messages" in finding.text
    assert list(refused_findings(store, "gw-2")) == []
    assert [gw for gw, _ in refused_findings(store, "gw-evil")] == ["gw-evil"]
    assert finding.text.startswith("gw-evil: ")
    store.commit([], [RefusedMessage("foreign", "", "t", "why", 1, b"x", "now")])
    (_, finding), _ = refused_findings(store)
    assert finding.text.startswith("nobody's branch: 1 messages")
    store.commit(
        [], [RefusedMessage("undecodable", "gw-2", "t", "why", 1, b"x", "now")] * KEPT_PER_KIND
    )
    assert list(refused_findings(store, "gw-2")) == [], "damage on the way is none of its doing"
    store.close()


def test_contents_that_were_not_kept_are_a_finding(tmp_path: Path) -> None:
    store = open_store(tmp_path / "city.db", write=True)
    others = [entry(record(1, body={"x": n})) for n in range(KEPT_PER_KIND + 1)]
    store.commit(others, [])
    assert list(refused_findings(store)) == [], "those that are kept are told one by one"
    store.commit([entry(record(1, body={"x": "more"}))], [])
    ((gw, finding),) = refused_findings(store)
    assert (gw, finding.kind) == (GW, "conflict")
    assert finding.text.startswith(
        f"{GW}: 1 more contents arrived under numbers that were already used"
    )
    store.close()


def test_whatever_has_no_receipt_is_a_finding() -> None:
    tallies = KeepQuota()
    kinds = {*EXCESS, RATE, COVERS}
    for kind in kinds:
        tallies.count(GW, kind)
    store: Any = SimpleNamespace(tallies=lambda: tallies)
    told = [finding.text for gw, finding in refused_findings(store) if gw == GW]
    assert len({*told}) == len(kinds)


def test_topics_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.platform.sitecheck.TOPICS_LIMIT", 2)
    filed = SiteCheck(GW)
    for _ in range(2):
        for n, site in enumerate(("a", "b", "x y", "c", "a"), 1):
            assert (filed.take(at(n, site)) is None) == (site != "x y")
            assert 0 < len(filed._known) <= 2
    assert filed.is_own(at(1, "a"))
    assert not filed.is_own(at(1, "x y"))


def test_the_sites_stand_in_a_list_or_in_the_store_of_the_enrolment_server(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "store.db")
    for number, site in enumerate(("mitte", "nord")):
        asked = ClaimRequest(
            f"claim{number}", b"d", site, f"role{number}", f"gw-000{number}", b"k%d" % number,
            b"csr", ClaimState.PENDING, NOW, "192.0.2.1",
        )  # fmt: skip
        desk.add_request(asked)
        desk.approve(asked.claim, NOW)
    sites = AllowedSites(tmp_path)
    assert sites.refusal("gw-0000", "mitte") is None
    assert sites.refusal("gw-0000", "nord") == "gw-0000 belongs to mitte, but publishes under nord"
    assert sites.refusal("gw-9", "anywhere") is None, "nothing is known of it"
    desk.refuse("claim0", NOW, "keyCompromise")
    assert sites.look(REREAD_NS) is None
    assert sites.of("gw-0000") == frozenset()
    desk.close()


def test_the_server_is_found_where_sqlite_takes_a_name_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is built by itself; some systems build it so that every name may be a URI."""
    Desk(tmp_path / "store.db").close()
    connect = sqlite3.connect

    def plain(name: str, *, uri: bool = False, **words: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(name if uri else f"./{name}", uri=uri, **words)
        return db

    monkeypatch.setattr(sqlite3, "connect", plain)
    assert AllowedSites(tmp_path).of("gw-0000") == frozenset()


def test_a_place_that_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    """`receipts` would take it for a lost connection, and throw away what it has in its hands."""
    with pytest.raises(ConfigError, match="name too long"):
        AllowedSites(tmp_path / ("x" * 300))


def test_a_list_is_read_again_and_one_that_is_lost_still_holds(tmp_path: Path) -> None:
    path = tmp_path / "sites"
    sites = known(path, "# a comment\n\ngw-1 a b # more\ngw-2\n")
    assert (sites.of("gw-1"), sites.of("gw-2")) == (frozenset("ab"), frozenset())
    path.write_text("gw-1 c\n")
    assert sites.look(0) is None
    assert sites.of("gw-1") == frozenset("c")
    path.write_text("gw-1 d\n")
    assert sites.look(REREAD_NS - 1) is None
    assert sites.of("gw-1") == frozenset("c"), "not yet"
    path.unlink()
    assert str(path) in str(sites.look(REREAD_NS))
    assert sites.look(2 * REREAD_NS) is None, "told once"
    assert sites.of("gw-1") == frozenset("c")


def test_a_gateway_that_stands_twice_in_a_list_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=":2: gw-1"):
        parse_site_list("gw-1 a\ngw-1 b\n", "sites")


@given(
    st.dictionaries(st.from_regex(r"\A[a-z0-9-]{3,9}\Z"), st.sets(st.from_regex(r"\A[a-z]{1,5}\Z")))
)
def test_a_list_says_what_was_written(wanted: dict[str, set[str]]) -> None:
    text = "\n".join(" ".join((gw, *sites)) for gw, sites in wanted.items())
    assert parse_site_list(text, "sites") == {gw: frozenset(sites) for gw, sites in wanted.items()}


def test_what_is_no_list_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", None):
        path = tmp_path / ("bytes" if content else "missing")
        if content:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=path.name):
            AllowedSites(path)
    with pytest.raises(ConfigError, match="enrolment server"):
        AllowedSites(tmp_path)  # a folder that is none of an enrolment server
