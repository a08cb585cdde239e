"""What a broker does, as open issues: each until the same thing succeeds, with its own remedy."""

import json
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from edge.uplink.brokertroubles import ReceiptWait
from edge.uplink.delivery import ConnectionState
from edge.wire.contract.issues import IssueName
from tests.gateway.brokenparts import BROKEN, LINK_TROUBLES, WELL, in_trouble, looked
from tests.gateway.issueparts import DAY, Parts, S, at


def test_a_link_that_fails_has_the_remedy_of_its_failure(tmp_path: Path) -> None:
    parts = replace(WELL, connected=False, link=ConnectionState(0))
    parts.link.failed(ConnectionRefusedError(111, "Connection refused"), 0, tls=True)
    (one,) = looked(parts.watch(tmp_path), parts, 100).issues
    assert one.cause == "No link to the broker for 100 s (Connection refused)."
    assert "nobody listens at this port" in one.remedy


@pytest.mark.parametrize("kind", LINK_TROUBLES)
def test_what_a_broker_did_is_over_when_it_does_so_no_more(kind: IssueName, tmp_path: Path) -> None:
    """At the next look, and not a day later; with no word of it while the link is down."""
    parts = replace(WELL, **BROKEN[kind])
    watch = looked(parts.watch(tmp_path), parts, 100)
    parts.connected = False
    looked(watch, parts, 105)
    assert kind in [each.kind for each in watch.issues]
    parts.connected, parts.link = True, WELL.link
    assert not len(looked(watch, parts, 110).issues)


def test_a_platform_may_be_started_anew_without_an_issue(tmp_path: Path) -> None:
    parts = replace(WELL, receipt_s=120.0)
    parts.link = in_trouble(receipts=ReceiptWait(True, 0, -499 * S))
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert not len(watch.issues)
    (one,) = looked(watch, parts, 105).issues
    assert one.cause == "The broker takes records, and no receipt has come for 10 min of link."


def test_the_remedy_of_a_certificate_is_that_of_its_last_fault(tmp_path: Path) -> None:
    """And the same that the link has."""
    parts = replace(WELL, connected=False, link=ConnectionState(0, "mqtts://b:8883"))
    watch = parts.watch(tmp_path)
    for seconds, code, word in ((100, 19, "authority"), (105, 62, "name"), (110, 9, "clock")):
        error = ssl.SSLCertVerificationError(1, "so")
        error.verify_code, error.verify_message = code, f"fault {code}"
        parts.link.failed(error, seconds * S, tls=True)
        found = {each.kind: each for each in looked(watch, parts, seconds).issues}
        assert set(found) == {"no_broker", "broker_untrusted"}
        assert found["no_broker"].remedy == found["broker_untrusted"].remedy
        assert word in found["no_broker"].remedy
        cause = f"mqtts://b:8883 cannot be trusted: fault {code}."
        assert found["broker_untrusted"].cause == cause


def test_an_old_protocol_is_a_risk_only_where_the_broker_s_word_is_all_there_is(
    tmp_path: Path,
) -> None:
    """With MQTT 3.1.1 a refusal looks like a success; receipts say what was stored."""
    for receipt_s, kinds in ((None, ["old_protocol"]), (120.0, [])):
        parts = replace(WELL, link=in_trouble(old_protocol=True), receipt_s=receipt_s)
        watch = looked(parts.watch(tmp_path), parts, 100)
        assert [each.kind for each in watch.issues] == kinds


A, B = "mqtts://a:8883", "mqtts://b:8883"


def expired(parts: Parts, seconds: int) -> None:
    """The first broker is down, and the fallback shows a certificate that has ended."""
    error = ssl.SSLCertVerificationError(1, "so")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    parts.connected, parts.link.broker = False, B
    parts.link.failed(error, seconds * S, tls=True)


def back(parts: Parts, seconds: int) -> None:
    """The first broker is there again."""
    parts.connected, parts.link.broker = True, A
    parts.link.connected(seconds * S)


def test_a_fallback_that_nobody_tries_again_is_no_fault_for_ever(tmp_path: Path) -> None:
    """While the first broker stands, nobody sees that the city has renewed the certificate."""
    parts = replace(WELL, link=ConnectionState(0))
    watch = parts.watch(tmp_path)
    expired(parts, 100)
    looked(watch, parts, 100)
    back(parts, 700)
    (one,) = looked(watch, parts, 720).issues
    assert (one.kind, one.about) == ("broker_untrusted", B)
    assert one.cause == (
        f"{B} cannot be trusted: certificate has expired. It is a fallback: it is tried again only "
        f"when {A} is not reached. Without another attempt this closes 24 h after the last one."
    )
    assert len(looked(watch, parts, 100 + DAY - 5).issues) == 1
    assert not len(looked(watch, parts, 100 + DAY).issues)


def test_a_first_broker_that_is_tried_again_and_again_stays_a_fault(tmp_path: Path) -> None:
    """By the fallback is sent, and the first has the certificate that is not trusted."""
    parts = replace(WELL, link=ConnectionState(0))
    watch = parts.watch(tmp_path)
    for hour in range(30):
        parts.link.broker = B
        expired(parts, hour * 3600)
        parts.link.troubles.untrusted[A] = parts.link.troubles.untrusted.pop(B)
        parts.connected, parts.link.broker = True, B
        parts.link.connected(hour * 3600 + 1)
        looked(watch, parts, hour * 3600 + 3000)
        assert [one.about for one in watch.issues if one.kind == "broker_untrusted"] == [A]


@pytest.mark.parametrize(("hours", "kept"), [(1, [B]), (25, [])])
def test_a_restart_does_not_say_that_a_fallback_is_well(
    hours: int, kept: list[str], tmp_path: Path
) -> None:
    """It is found when it is tried, and a day later it is over all the same."""
    parts = replace(WELL, link=ConnectionState(0))
    expired(parts, 100)
    saved = looked(parts.watch(tmp_path), parts, 100).to_keep(at(100))["issues"]
    start = replace(WELL, link=ConnectionState(1000 * S))
    watch = start.watch(tmp_path)
    watch.restore(json.loads(json.dumps(saved)), at(1000))
    back(start, 1005)
    looked(watch, start, 1000 + hours * 3600)
    assert [one.about for one in watch.issues] == kept


def test_each_broker_has_an_issue_of_its_own_and_ends_its_own(tmp_path: Path) -> None:
    parts = replace(WELL, link=ConnectionState(0))
    watch = parts.watch(tmp_path)
    expired(parts, 100)
    parts.link.troubles.distrust(A, parts.link.troubles.untrusted[B])
    looked(watch, parts, 100)
    assert [one.about for one in watch.issues if one.kind == "broker_untrusted"] == [A, B]
    back(parts, 200)
    assert [one.about for one in looked(watch, parts, 205).issues] == [B]
