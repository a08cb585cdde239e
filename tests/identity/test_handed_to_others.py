"""What is left for others: the claim's network, early enough, and word for the daemon's unit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.identity import certs
from edge.identity.main import ENROLLED, RESTART, _leave_word, _ready, main
from edge.identity.network import Network
from edge.identity.statefolder import NETWORK, StateFolder
from edge.link import linkoptions
from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway

ROOT = Path(__file__).parents[2]
WIFI = Network(kind="wifi", ssid="depot", psk="correct horse")


@pytest.fixture(scope="module")
def keys() -> EnrolmentCity:
    return EnrolmentCity()


@pytest.fixture
def box(tmp_path: Path, keys: EnrolmentCity) -> EnrollingGateway:
    made = EnrollingGateway(tmp_path, EnrolmentCity(keys.authority, keys.operator))
    made.insert(made.city.claim(network=WIFI))
    return made


def take(box: EnrollingGateway) -> int:
    return main(["take", "--state", str(box.state), "--boot", str(box.boot)])


def claimed(box: EnrollingGateway) -> Network | None:
    return linkoptions.load_claimed_network(box.state / NETWORK)


def test_the_network_is_there_before_anybody_is_asked_and_outlives_the_claim(
    box: EnrollingGateway,
) -> None:
    assert take(box) == 0
    found = claimed(box)
    assert found is not None
    assert (found.kind, found.ssid, found.psk) == ("wifi", "depot", "correct horse")
    assert (box.state / NETWORK).stat().st_mode & 0o777 == 0o600
    assert box.wire.asked == []
    assert box.power().run() == "enrolled"
    assert box.wrong() == []
    assert claimed(box) == found


def test_a_new_claim_brings_its_own_network_or_takes_it_away(box: EnrollingGateway) -> None:
    take(box)
    box.insert(box.city.claim(network=Network(kind="ethernet")))
    take(box)
    assert (claimed(box) or Network(kind="wifi")).kind == "ethernet"
    box.insert(box.city.claim())
    take(box)
    assert claimed(box) is None


def test_a_claim_for_an_enrolled_box_changes_nothing(box: EnrollingGateway) -> None:
    box.power().run()
    before = claimed(box)
    box.insert(box.city.claim(network=Network(kind="ethernet")))
    assert take(box) == 0
    assert claimed(box) == before


def test_a_torn_claim_takes_no_network_away(box: EnrollingGateway) -> None:
    take(box)
    before = claimed(box)
    box.insert(box.city.claim()[:200])
    assert take(box) == 0
    assert claimed(box) == before


def test_the_unit_hears_of_each_identity_once(
    box: EnrollingGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setitem(os.environ, "RUNTIME_DIRECTORY", str(run))
    store = StateFolder(box.state)
    _leave_word(None, _ready(store), box.marker)
    assert list(run.iterdir()) == [], "there is nothing to start"
    box.power().run()
    now = _ready(store)
    assert now is not None
    _leave_word(None, now, box.marker)
    assert {each.name for each in run.iterdir()} == {ENROLLED, RESTART}
    (run / RESTART).unlink()  # as the unit does
    box.marker.write_text(f"connected {certs.fingerprint(now.certificate)}\n")
    _leave_word(now, now, box.marker)
    assert not (run / RESTART).exists()
    box.marker.write_text(f"connected {'0' * 64}\n")  # who installed this one did not live to tell
    _leave_word(now, now, box.marker)
    assert (run / RESTART).exists()


def test_without_a_configuration_the_daemon_is_not_started(box: EnrollingGateway) -> None:
    box.power().run()
    (box.state / "site.toml").unlink()
    assert _ready(StateFolder(box.state)) is None


BARE = ("setpriv", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
@pytest.mark.parametrize("mode", [0o640, 0o600])
def test_root_without_any_capability_hears_the_daemon_by_its_group(
    box: EnrollingGateway, tmp_path: Path, mode: int
) -> None:
    """As the unit runs it. What it cannot read keeps it from nothing."""
    box.power().run()
    now = _ready(StateFolder(box.state))
    assert now is not None
    daemon = tmp_path / "daemon"
    daemon.mkdir()
    daemon.chmod(0o750)
    marker = daemon / "identity"
    marker.write_text(f"uses {'0' * 64}\n")
    marker.chmod(mode)
    for each in (marker, daemon):
        os.chown(each, 65_533, 65_534)
    run = tmp_path / "run"
    run.mkdir()
    tmp_path.chmod(0o755)
    code = (
        "from pathlib import Path; from edge.identity.main import _leave_word, _ready; "
        "from edge.identity.statefolder import StateFolder; "
        f"now = _ready(StateFolder(Path({str(box.state)!r}))); "
        f"_leave_word(now, now, Path({str(marker)!r}))"
    )
    subprocess.run(
        [*BARE, "--regid=65534", sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT,
        env={**os.environ, "RUNTIME_DIRECTORY": str(run), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (run / ENROLLED).exists()
    assert (run / RESTART).exists() == (mode == 0o640)
