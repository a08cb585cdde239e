"""The box's own client and this server: where both ends of the agreed form meet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.identity import certs, est, httpsclient, keys, siteconfig, statefolder
from edge.identity.claim import parse_claim
from edge.identity.floorclock import FloorClock
from edge.identity.identitybundle import EnrolmentTarget
from edge.provision import operatordocs
from tests.kit.clock import NONE, NTP, JumpingClock
from tests.kit.enrolment import EnrolmentServer

SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n'


class RestlessClock(JumpingClock):
    """Nothing waits here."""

    def wait_until(self, mono_ns: int) -> None:
        raise AssertionError("nothing waits here")


def wrong_clock(wall: datetime | None) -> JumpingClock:
    """Of a box: wrong, or not there."""
    clock = RestlessClock(0, NONE if wall is None else NTP)
    if wall is not None:
        clock.set_wall(wall)
    return clock


@pytest.mark.parametrize(
    "wall", [None, datetime(1970, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)], ids=str
)
def test_a_box_enrols_is_configured_and_renews(
    world: EnrolmentServer, tmp_path: Path, wall: datetime | None
) -> None:
    folder = tmp_path / "identity"
    folder.mkdir()
    state, watch = statefolder.StateFolder(folder), FloorClock(wrong_clock(wall), folder)
    data = world.claim(site="s17")
    claim = parse_claim(data)
    home, ca, key = EnrolmentTarget.of(claim), claim.ca.encode(), keys.make_key(False)
    asked = est.est_enrol(httpsclient.https_request, watch, home, ca, key.csr("gw-17"), data)
    assert asked == est.EstWait(30)
    world.approve("gw-17")
    got = est.est_enrol(httpsclient.https_request, watch, home, ca, key.csr("gw-17"), data)
    assert isinstance(got, est.EstIssued)
    mine = certs.own_certificate(certs.parse_certificates(got.body), key.spki(), "gw-17", ca, watch)
    bundle = state.install(key, mine, ca, home)

    site = tmp_path / "site.toml"
    site.write_text(SITE)
    operatordocs.sign_config(site, "gw-17", world.operator, world.home.configs, world.now)
    said = est.est_config(httpsclient.https_request, watch, bundle)
    assert siteconfig.verify_signed_config(said, home).config == SITE

    world.now += timedelta(days=61)
    fresh = keys.make_key(False)
    renewed = est.est_renew(httpsclient.https_request, watch, bundle, fresh.csr("gw-17"))
    assert isinstance(renewed, est.EstIssued)
    assert certs.parse_certificates(renewed.body)[0].not_valid_after_utc > mine.not_valid_after_utc
    world.revoke("gw-17")
    denied = est.est_renew(
        httpsclient.https_request, watch, bundle, keys.make_key(False).csr("gw-17")
    )
    assert isinstance(denied, est.EstDenied)
    assert denied.status == 410


def test_the_names_of_files_on_a_stick_are_the_same_on_both_sides() -> None:
    from edge.identity import offline
    from edge.provision import approvals

    assert (offline.REQUEST, offline.CERTIFICATE, offline.CONFIG) == (
        approvals.REQUEST,
        approvals.CERTIFICATE,
        approvals.CONFIG,
    )
