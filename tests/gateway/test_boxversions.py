"""What a box is made of, as `meta` tells it, and what makes it tell it anew."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET

from edge.gateway.boxversions import LOOK_NS, BoxVersions, read_versions
from edge.health.board import Board
from edge.uplink.certificatedates import CertificateFile
from edge.wire.contract.meta import BoxMeta
from edge.wire.contract.models import Candidate, Model
from tests.gateway.issueparts import WALL, S, at, made_certificate
from tests.kit.kerneltrees import lay, pi

PI = Board("Raspberry Pi Zero 2 W Rev 1.0", "00000000deadbeef")
MODEL = Model(
    model="anomaly 2.1.0", sha256="ab", answers="model", why="", instead="", ms=1.0, mb=1.0,
    drift=None,
)  # fmt: skip
TRIAL = Candidate(
    model="anomaly 3.0.0", sha256="cd", dropped="", ms=1.0, most_ms=2.0, samples=0, last=[]
)
RELEASE = """\
PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
ID=debian
IMAGE_ID=kerbstone
IMAGE_VERSION='0.3.0'
BROKEN="
"""


def test_a_box_from_our_image_says_what_it_is(tmp_path: Path) -> None:
    found = read_versions(PI, lay(pi(tmp_path), {"etc/os-release": RELEASE}))
    assert (found.system, found.image) == ("Debian GNU/Linux 13 (trixie)", "kerbstone 0.3.0")
    assert (found.board, found.serial) == (PI.model, PI.serial)
    assert found.memory_bytes == 427464 * 1024
    assert found.kernel
    assert found.machine
    msgspec.convert(msgspec.to_builtins(found), BoxMeta)


def test_what_nobody_knows_is_left_out(tmp_path: Path) -> None:
    found = read_versions(Board(), tmp_path)
    assert {found.system, found.image, found.board, found.serial, found.memory_bytes} == {UNSET}
    plain = read_versions(Board(), lay(tmp_path, {"usr/lib/os-release": "PRETTY_NAME=Debian\n"}))
    assert (plain.system, plain.image) == ("Debian", UNSET)


@pytest.mark.parametrize("text", ["\x1b[2J", "x" * 100_000, "\u202eabc", '"\n"', "\0"])
def test_a_hostile_file_is_one_short_text(tmp_path: Path, text: str) -> None:
    root = lay(tmp_path, {"etc/os-release": f"PRETTY_NAME={text}\nIMAGE_ID={text}\n"})
    found = read_versions(Board(text, text), root)
    for word in (found.system, found.image, found.board, found.serial):
        assert word is UNSET or (word.isprintable() and len(word) <= 128)


class Published:
    """Versions of a box whose parts a test changes, and how often they were published anew."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "own.pem"
        self.renew(300)
        self.model: Model | None = None
        self.count = 0
        self.versions = BoxVersions(
            BoxMeta(software="0.3.0"),
            CertificateFile(self.file),
            lambda: {"anomaly": self.model},
            self._published,
        )

    def _published(self) -> None:
        self.count += 1

    def renew(self, days: int) -> None:
        new = self.file.with_suffix(".new")
        new.write_bytes(made_certificate(WALL // S + days * 86_400))
        new.replace(self.file)

    def look(self, minutes: int) -> int:
        """How often it has been published up to then."""
        self.versions.look(at(minutes * LOOK_NS / S))
        return self.count


def test_the_end_of_the_certificate_is_told_and_a_renewed_one_is_published(tmp_path: Path) -> None:
    box = Published(tmp_path)
    assert box.look(0) == 0, "a connection publishes it anyway"
    first = box.versions.told().certificate_until
    box.renew(390)
    assert box.look(1) == 1
    second = box.versions.told().certificate_until
    assert isinstance(first, str)
    assert isinstance(second, str)
    gap = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    assert gap.days == 90
    assert datetime.fromisoformat(first).tzinfo == UTC
    assert box.look(2) == 1
    box.file.unlink()
    assert box.look(3) == 2
    assert box.versions.told().certificate_until is UNSET
    assert box.versions.told().software == "0.3.0"


def test_another_model_is_published_and_how_one_does_is_not(tmp_path: Path) -> None:
    box = Published(tmp_path)
    box.look(0)
    box.model = MODEL
    assert box.look(1) == 1
    for same in (
        msgspec.structs.replace(MODEL, ms=7.0),
        msgspec.structs.replace(MODEL, answers="rule", why="it was late"),
    ):
        box.model = same
        assert box.look(2 + box.count) == 1
    box.versions.look(at(10 * LOOK_NS / S))
    box.model = msgspec.structs.replace(MODEL, model="anomaly 2.0.0", sha256="ef", instead="why")
    assert box.look(11) == 2
    box.model = msgspec.structs.replace(box.model, shadow=TRIAL)
    assert box.look(12) == 3
    box.model = msgspec.structs.replace(box.model, shadow=msgspec.structs.replace(TRIAL, samples=9))
    assert box.look(13) == 3


def test_it_is_looked_at_once_a_minute(tmp_path: Path) -> None:
    box = Published(tmp_path)
    box.look(0)
    box.model = MODEL
    box.versions.look(at(LOOK_NS / S - 1))
    assert box.count == 0
    assert box.look(1) == 1
