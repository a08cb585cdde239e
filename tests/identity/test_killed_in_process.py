"""Killed at each operation on a file: always "claim again works" or "identity works"."""

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edge.identity import certs
from edge.identity.statefolder import StateFolder
from tests.identity.card import copied, usable
from tests.identity.city import LIFE, NOW, EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway
from tests.kit.memory import in_memory
from tests.kit.power import ProcessKilled
from tests.kit.syncedcard import MODES, Mode, SyncedCard, failing
from tests.long import more, size


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    with in_memory(tmp_path) as folder:
        yield folder


@pytest.fixture(scope="module")
def keys() -> EnrolmentCity:
    return EnrolmentCity()


def fresh(root: Path, keys: EnrolmentCity) -> EnrollingGateway:
    shutil.rmtree(root, ignore_errors=True)
    box = EnrollingGateway(root, EnrolmentCity(keys.authority, keys.operator))
    box.insert(keys.claim())
    return box


def killed(
    box: EnrollingGateway, at: int, mode: Mode, act: Callable[[], object]
) -> tuple[bool, int]:
    card = SyncedCard((box.state, box.boot))
    try:
        with failing(card, at, mode):
            act()
    except ProcessKilled:
        return True, card.count
    return False, card.count


def tried(count: int, mode: Mode) -> range:
    """At which operation it is killed: at each, or at a third of them, with each mode at others."""
    step = size(3, 1)
    return range(1 + MODES.index(mode) % step, count + 1, step)


@more
@pytest.mark.parametrize("mode", MODES)
def test_enrolment_survives_a_kill_at_each_operation(
    tmp_path: Path, keys: EnrolmentCity, mode: Mode, capsys: pytest.CaptureFixture[str]
) -> None:
    box = fresh(tmp_path / "box", keys)
    _, count = killed(box, 0, mode, lambda: box.power().run())
    assert count > 60
    seen = set()
    for at in tried(count, mode):
        box = fresh(tmp_path / "box", keys)
        died, _ = killed(box, at, mode, lambda box=box: box.power().run())  # type: ignore[misc]
        assert died
        works = usable(box.root)
        seen.add(works)
        assert works, f"{mode} at {at}: neither claim nor identity"
        assert box.power().run() == "enrolled", f"{mode} at {at}"
        assert box.wrong() == [], f"{mode} at {at}"
        assert 409 not in box.city.statuses, f"{mode} at {at}: a second key"
    assert seen == {"claim", "identity"}
    with capsys.disabled():
        print(f"\nenrolment, {mode}: {count} operations")


@more
def test_enrolment_survives_kill_after_kill(tmp_path: Path, keys: EnrolmentCity) -> None:
    for seed in range(size(20, 60)):
        rng = random.Random(seed)
        box = fresh(tmp_path / "box", keys)
        for _ in range(rng.randrange(2, 6)):
            killed(box, rng.randrange(1, 60), rng.choice(MODES), lambda: box.power().run())  # noqa: B023
            assert usable(box.root), seed
        assert box.power().run() == "enrolled", seed
        assert box.wrong() == [], seed
        assert 409 not in box.city.statuses, seed


@more
@pytest.mark.parametrize("mode", MODES)
def test_renewal_survives_a_kill_at_each_operation(
    tmp_path: Path, keys: EnrolmentCity, mode: Mode, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fresh(tmp_path / "made", keys)
    made.power().run()

    def ready() -> EnrollingGateway:
        city = EnrolmentCity(keys.authority, keys.operator, issued=list(made.city.issued))
        city.now = NOW + LIFE * 0.7
        return EnrollingGateway(copied(made.root, tmp_path / "box"), city)

    def whole(box: EnrollingGateway) -> None:
        """Two timers' worth: it is renewed, the daemon connects, the old one goes."""
        box.renewal().run()
        bundle = StateFolder(box.state).current()
        assert bundle is not None
        box.marker.write_text(f"connected {certs.fingerprint(bundle.certificate)}\n")
        box.renewal().run()

    box = ready()
    _, count = killed(box, 0, mode, lambda: whole(box))
    assert count > 30
    for at in tried(count, mode):
        box = ready()
        died, _ = killed(box, at, mode, lambda box=box: whole(box))  # type: ignore[misc]
        assert died
        assert usable(box.root) == "identity", f"{mode} at {at}"
        whole(box)
        assert box.wrong() == [], f"{mode} at {at}"
        assert StateFolder(box.state).numbers() != {1}, f"{mode} at {at}: never renewed"
    with capsys.disabled():
        print(f"\nrenewal, {mode}: {count} operations")


@pytest.mark.parametrize("mode", MODES)
def test_a_factory_reset_is_whole_or_not_begun(
    tmp_path: Path, keys: EnrolmentCity, mode: Mode
) -> None:
    made = fresh(tmp_path / "made", keys)
    made.power().run()

    def ready() -> EnrollingGateway:
        return EnrollingGateway(copied(made.root, tmp_path / "box"), made.city)

    box = ready()
    _, count = killed(box, 0, mode, lambda: StateFolder(box.state).forget())
    for at in range(1, count + 1):
        box = ready()
        died, _ = killed(box, at, mode, lambda box=box: StateFolder(box.state).forget())  # type: ignore[misc]
        assert died
        store = StateFolder(box.state)
        store.remove_leftovers()
        if store.current() is None:
            assert store.use_pending() is None
            assert b"PRIVATE KEY" not in box.everything(), f"{mode} at {at}"
            assert list(box.state.iterdir()) == [], f"{mode} at {at}"


def test_renewal_waits_until_two_thirds_and_not_all_boxes_at_once(
    tmp_path: Path, keys: EnrolmentCity
) -> None:
    authority = keys.authority
    days = [
        (certs.renewal_due(authority.gateway("gw-0001", authority.key.public_key())) - NOW)
        / timedelta(days=1)
        for _ in range(40)
    ]
    assert 36.9 < min(days) < 37.9
    assert 39 < max(days) <= 40
    box = fresh(tmp_path / "box", keys)
    box.power().run()
    box.city.now = NOW + timedelta(days=36)
    assert box.renewal().run() == "fine"


def test_a_refused_certificate_leads_back_to_the_one_before(
    tmp_path: Path, keys: EnrolmentCity
) -> None:
    box = fresh(tmp_path / "box", keys)
    box.power().run()
    box.city.now = NOW + timedelta(days=45)
    assert box.renewal().run() == "renewed"
    bundle = StateFolder(box.state).current()
    assert bundle is not None
    assert bundle.number == 2
    assert StateFolder(box.state).numbers() == {1, 2}, (
        "the old one stays until the new one has connected"
    )
    box.marker.write_text("connected 00\n")  # said of another one
    box.renewal().run()
    assert StateFolder(box.state).numbers() == {1, 2}
    box.marker.write_text(f"refused {certs.fingerprint(bundle.certificate)}\n")
    assert box.renewal().run() == "went back"
    back = StateFolder(box.state).current()
    assert back is not None
    assert back.number == 1
