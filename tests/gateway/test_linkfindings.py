"""What a broker does, as open issues: each until the same thing succeeds, with its own remedy."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from edge.uplink.brokertroubles import ReceiptWait
from edge.uplink.delivery import ConnectionState
from edge.wire.contract.issues import IssueName
from tests.gateway.brokenparts import BROKEN, LINK_TROUBLES, WELL, in_trouble, looked
from tests.gateway.issueparts import S


def test_a_link_that_fails_has_the_remedy_of_its_failure(tmp_path: Path) -> None:
    parts = replace(WELL, connected=False, link=ConnectionState(0))
    parts.link.failed(ConnectionRefusedError(111, "Connection refused"), tls=True)
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
        parts.link.failed(error, tls=True)
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
