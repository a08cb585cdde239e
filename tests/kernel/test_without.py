"""What the kernel tests need of the host, and what they do where it is missing. No guest here."""

import os
import re
import shutil
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from drivers.sim.loops import LineLevel
from edge.rig.initrd import needed
from tests.kernel import build, offer
from tests.kernel.guest.play import LATE_S, play

DEP = """\
kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc32.ko.xz
kernel/fs/jbd2/jbd2.ko.xz: kernel/lib/crc32.ko.xz
kernel/lib/crc16.ko.xz:
kernel/lib/crc32.ko.xz:
kernel/net/9p/9pnet-virtio.ko.xz:
"""


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("qemu-system-x86_64", "apt-get install qemu-system-x86"),
        ("mmdebstrap", "apt-get install mmdebstrap"),
        ("apt-get", "there is no apt here"),
    ],
)
def test_without_a_tool_the_tests_are_skipped_and_say_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str, remedy: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else f"/bin/{name}")
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path))
    with pytest.raises(offer.Unavailable, match=re.escape(remedy)):
        build.build()


def test_another_machine_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(offer.Unavailable, match="x86-64 only"):
        build.build()


def test_a_module_comes_after_what_it_needs() -> None:
    order = needed(["ext4", "9pnet_virtio", "built_in"], DEP)
    names = [path.rpartition("/")[2].partition(".")[0] for path in order]
    assert names == ["crc32", "jbd2", "crc16", "ext4", "9pnet-virtio"]


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian offers a kernel and a source of different versions, as it does for some hours."""

    def depends(package: str) -> tuple[str, list[str]]:
        version = "6.12.108-1" if package == "linux-source" else "6.12.109-1"
        names = {"linux-source": "linux-source-6.12"}
        return version, [names.get(package, f"{package[: -len('-amd64')]}-6.12.109-amd64")]

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(offer, "_depends", depends)


@pytest.mark.usefixtures("unsettled")
def test_versions_that_do_not_fit_are_said_where_no_guest_is_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / f"kernel-6.12.107-1-{build.RECIPE}.new").mkdir()  # broken off
    (tmp_path / "kernel-6.12.107-1-0badcafe").mkdir()  # made by another recipe
    with pytest.raises(offer.Unavailable, match=r"kernel 6\.12\.109-1, .* source 6\.12\.108-1"):
        build.kernel_folder(tmp_path)


@pytest.mark.usefixtures("unsettled")
def test_where_versions_do_not_fit_the_newest_guest_of_the_cache_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for age, version in enumerate(("6.12.107-1", "6.12.99-1")):
        folder = tmp_path / f"kernel-{version}-{build.RECIPE}"
        folder.mkdir()
        os.utime(folder, (1e9 - age, 1e9 - age))
    assert build.kernel_folder(tmp_path).name == f"kernel-6.12.107-1-{build.RECIPE}"
    assert "source 6.12.108-1" in capsys.readouterr().out


@dataclass
class HeldUp:
    """A guest whose host takes its time away: `stalls` is for how long, at which sleep."""

    stalls: dict[int, float]
    now: float = 100.0
    slept: int = 0
    driven: list[tuple[float, bool | None]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, wait_s: float) -> None:
        self.slept += 1
        self.now += wait_s + self.stalls.get(self.slept, 0.001)

    def drive(self, line: int | str, level: bool | None, mono_ns: int) -> None:
        self.driven.append((self.now, level))


PULSES = [LineLevel(round((0.5 * n + part) * 1e9), "heat", part > 0)
          for n in range(10) for part in (0.0, 0.1)]  # fmt: skip


@pytest.mark.parametrize(
    "stalls",
    [{}, {2: 0.3}, {1: 0.099}, {3: 2.0}, {6: 0.4, 7: 0.4}, dict.fromkeys(range(1, 9), 1.0)],
)
def test_however_the_host_holds_it_up_no_pulse_is_played_shorter(stalls: dict[int, float]) -> None:
    """To catch up would put two changes at once, and the kernel takes that for a bounce."""
    guest = HeldUp(stalls)
    moved_s = play(guest, PULSES, guest.clock, guest.sleep)
    assert [level for _, level in guest.driven] == [row.level for row in PULSES]
    for (before, one), (after, other) in pairwise(guest.driven):
        assert after - before >= (0.1 if (one, other) == (False, True) else 0.4) - LATE_S
    assert moved_s >= sum(stalls.values())


def test_who_is_held_up_for_ever_says_so() -> None:
    guest = HeldUp(dict.fromkeys(range(1, 1000), 1.0))
    with pytest.raises(TimeoutError, match="held the guest up"):
        play(guest, PULSES, guest.clock, guest.sleep)
