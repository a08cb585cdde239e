"""The box's own client and this server: where both ends of the agreed form meet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.identity import certs, est, keys, siteconfig, store, tls
from edge.identity.bundle import Home
from edge.identity.claim import parse
from edge.identity.moment import Watch
from edge.provision import paper
from tests.provision.world import World

SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n'


class Clock:
    """Of a box: wrong, or not there."""

    def __init__(self, wall: datetime | None) -> None:
        self._wall = wall

    def mono_s(self) -> float:
        return 0.0

    def wall(self) -> datetime | None:
        return self._wall

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


@pytest.mark.parametrize(
    "wall", [None, datetime(1970, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)], ids=str
)
def test_a_box_enrols_is_configured_and_renews(
    world: World, tmp_path: Path, wall: datetime | None
) -> None:
    folder = tmp_path / "identity"
    folder.mkdir()
    state, watch = store.Store(folder), Watch(Clock(wall), folder)
    data = world.claim(site="s17")
    claim = parse(data)
    home, ca, key = Home.of(claim), claim.ca.encode(), keys.make(False)
    asked = est.enrol(tls.ask, watch, home, ca, key.csr("gw-17"), data)
    assert asked == est.Wait(30)
    world.approve("gw-17")
    got = est.enrol(tls.ask, watch, home, ca, key.csr("gw-17"), data)
    assert isinstance(got, est.Issued)
    mine = certs.ours(certs.given(got.body), key.spki(), "gw-17", ca, watch)
    bundle = state.install(key, mine, ca, home)

    site = tmp_path / "site.toml"
    site.write_text(SITE)
    paper.sign_config(site, "gw-17", world.operator, world.home.configs, world.now)
    said = est.config(tls.ask, watch, bundle)
    assert siteconfig.verified(said, home).config == SITE

    world.now += timedelta(days=61)
    fresh = keys.make(False)
    renewed = est.renew(tls.ask, watch, bundle, fresh.csr("gw-17"))
    assert isinstance(renewed, est.Issued)
    assert certs.given(renewed.body)[0].not_valid_after_utc > mine.not_valid_after_utc
    world.revoke("gw-17")
    denied = est.renew(tls.ask, watch, bundle, keys.make(False).csr("gw-17"))
    assert isinstance(denied, est.Denied)
    assert denied.status == 410


def test_the_names_of_files_on_a_stick_are_the_same_on_both_sides() -> None:
    from edge.identity import offline
    from edge.provision import counter

    assert (offline.REQUEST, offline.CERTIFICATE, offline.CONFIG) == (
        counter.REQUEST,
        counter.CERTIFICATE,
        counter.CONFIG,
    )
