"""A stick that somebody has prepared: links, pipes, devices and folders where files should be."""

import os
from pathlib import Path

import pytest

from edge.core import ConfigError
from edge.identity import offline
from edge.identity.claim import CLAIM_NAME
from edge.identity.offline import CERTIFICATE, CONFIG, REQUEST
from edge.identity.statefolder import StateFolder
from tests.identity.card import everything, tree
from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock

NAMES = (CLAIM_NAME, REQUEST, CERTIFICATE, CONFIG)


@pytest.fixture
def box(tmp_path: Path) -> EnrollingGateway:
    city = EnrolmentCity()
    made = EnrollingGateway(tmp_path / "box", city, NappingClock())
    made.insert(city.claim())
    made.ask = lambda question, watch: pytest.fail("it has no network")
    return made


def put(path: Path, kind: str, victim: Path) -> None:
    match kind:
        case "link to a file":
            path.symlink_to(victim)
        case "dangling link":
            path.symlink_to(victim.with_name("nothing"))
        case "link to itself":
            path.symlink_to(path.name)
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "huge":
            with path.open("wb") as file:
                file.truncate(1 << 32)


KINDS = (
    "link to a file", "dangling link", "link to itself", "link to a device", "pipe", "folder",
    "huge",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NAMES, f"{REQUEST}.new", f"{CLAIM_NAME}.new"])
def test_nothing_but_files_is_read_and_nothing_is_written_through_a_link(
    tmp_path: Path, box: EnrollingGateway, stick: Path, name: str, kind: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"root:secret-of-somebody:\n")
    put(stick / name, kind, victim)
    said = ""
    try:
        offline.enrol_offline(box.power(), stick)
    except (OSError, ConfigError) as error:
        said = str(error)
    if not said:
        assert not (stick / REQUEST).is_symlink()
        assert not (stick / CLAIM_NAME).is_symlink()
    assert "secret-of-somebody" not in said
    assert victim.read_bytes() == b"root:secret-of-somebody:\n"
    assert not (tmp_path / "nothing").exists()
    assert StateFolder(box.state).numbers() == set()
    assert b"secret-of-somebody" not in everything(box.state) + everything(box.boot)


def test_a_link_to_the_box_s_own_key_carries_nothing_away(
    box: EnrollingGateway, stick: Path
) -> None:
    assert offline.enrol_offline(box.power(), stick) == "asked"
    key = (box.state / "next.key").read_bytes()
    for name in (CERTIFICATE, CLAIM_NAME, REQUEST):
        (stick / name).unlink(missing_ok=True)
        (stick / name).symlink_to(box.state / "next.key")
    with pytest.raises(offline.OfflineError):
        offline.enrol_offline(box.power(), stick)
    assert (box.state / "next.key").read_bytes() == key
    for each in stick.iterdir():
        if each.is_symlink():
            each.unlink()
    assert b"PRIVATE KEY" not in b"".join(tree(stick).values())
