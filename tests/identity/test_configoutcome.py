"""The operator hears that his configuration was rolled back, and its former one stays reachable."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from edge.identity import statefolder
from edge.identity.configoutcome import ConfigOutcome, read_config_outcome
from edge.identity.renew import Renewal
from tests.identity.enrolling_box import NappingClock, date
from tests.identity.proposing_box import ProposingGateway, sign
from tests.identity.real_server import ApprovingServer
from tests.identity.test_configtrial import GOOD

MOVED = GOOD.replace("8883", "8884")
AGAIN = GOOD.replace("8883", "8885")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    made = ApprovingServer(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def box(town: ApprovingServer, tmp_path: Path) -> ProposingGateway:
    made = ProposingGateway(town.card(tmp_path / "1", "gw-0001"), NappingClock(date(1970)))
    sign(town, GOOD)
    assert made.power().run() == "enrolled"
    town.now = town.now.replace(hour=13)
    sign(town, MOVED)
    assert made.renewal().run() == "configured"
    return made


def looking(box: ProposingGateway, outcome: Path) -> Renewal:
    made = box.renewal()
    made.outcome = outcome
    return made


def write(path: Path, config: str, state: str = "rolled_back") -> None:
    digest = sha256(config.encode()).hexdigest()
    found = ConfigOutcome(digest=digest, state=state, reason="deaf", text="not connected")
    path.write_bytes(msgspec.json.encode(found))


def test_a_rolled_back_configuration_is_reported_with_its_reason(
    town: ApprovingServer, box: ProposingGateway, tmp_path: Path
) -> None:
    outcome = tmp_path / "config-outcome"
    write(outcome, MOVED)
    assert looking(box, outcome).run() == "fine"
    (kept,) = town.home.reports.all()
    assert kept.report.error == "rolled back (deaf): not connected"
    assert box.site == MOVED.encode(), "it is what is signed; the daemon runs the former one"


@pytest.mark.parametrize("what", ["confirmed", "of another file", "damaged", "a link"])
def test_nothing_else_is_reported(
    town: ApprovingServer, box: ProposingGateway, tmp_path: Path, what: str
) -> None:
    outcome = tmp_path / "config-outcome"
    write(outcome, GOOD if what == "of another file" else MOVED,
          "confirmed" if what == "confirmed" else "rolled_back")  # fmt: skip
    if what == "damaged":
        outcome.write_bytes(b"{" * 9000)
    if what == "a link":
        outcome.rename(tmp_path / "elsewhere")
        outcome.symlink_to(tmp_path / "elsewhere")
    assert looking(box, outcome).run() == "fine"
    assert town.home.reports.all() == []


def test_the_one_before_is_kept_for_the_address_filter_and_a_failed_one_is_not(
    town: ApprovingServer, box: ProposingGateway, tmp_path: Path
) -> None:
    store = box.power().store
    assert store.get(statefolder.SITE_BEFORE) == GOOD.encode()
    outcome = tmp_path / "config-outcome"
    write(outcome, MOVED)
    town.now = town.now.replace(hour=14)
    sign(town, AGAIN)
    assert looking(box, outcome).run() == "configured"
    assert box.site == AGAIN.encode()
    assert store.get(statefolder.SITE_BEFORE) == GOOD.encode(), "what would come back"


def test_what_is_no_outcome_is_none(tmp_path: Path) -> None:
    assert read_config_outcome(tmp_path / "none") is None
    (tmp_path / "folder").mkdir()
    assert read_config_outcome(tmp_path / "folder") is None
