"""`make rig-qemu` fails when it could show nothing, and says how many there were. No guest here."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kernel import rigqemu
from tests.kernel.offer import Unavailable

FIGURES = r"{} of {} scenarios ran on qemu, {} passed, in \d+\.\d min"


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("qemu-system-x86_64", "apt-get install qemu-system-x86"),
        ("mmdebstrap", "apt-get install mmdebstrap"),
    ],
)
def test_without_a_guest_it_fails_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    missing: str, remedy: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else f"/bin/{name}")
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path))
    assert rigqemu.main([]) == 2
    said = capsys.readouterr().out
    assert "there is no guest to boot" in said
    assert remedy in said
    assert re.search(FIGURES.format(0, 1, 0), said)
    assert said.endswith("nothing was shown\n")


@pytest.mark.parametrize(
    ("codes", "ran", "passed", "ends"),
    [
        ([0, 0], 2, 2, 0),
        ([0, 1], 2, 1, 1),
        ([4], 1, 0, 1),  # not evaluated
        ([0, 3], 1, 1, 1),  # one of them could not be run
        ([-9], 1, 0, 1),
        ([3, 2], 0, 0, 2),
    ],
)
def test_it_ends_with_0_only_if_all_have_passed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    codes: Sequence[int], ran: int, passed: int, ends: int,
) -> None:  # fmt: skip
    left = [*codes]
    monkeypatch.setattr(rigqemu, "build", lambda: None)
    monkeypatch.setattr(rigqemu, "rig_guest", lambda built: Path("guest"))
    monkeypatch.setattr(rigqemu, "run", lambda guest, name: left.pop(0))
    assert rigqemu.main([f"one_{n}" for n in range(len(codes))]) == ends
    said = capsys.readouterr().out
    assert re.search(FIGURES.format(ran, len(codes), passed), said)
    assert ("nothing was shown" in said) is (not ran)


@pytest.fixture
def own_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rigqemu, "OUT", tmp_path / "out")


@pytest.mark.usefixtures("own_out")
def test_a_scenario_that_is_not_there_cannot_be_run(tmp_path: Path) -> None:
    """What `kerbstone rig run` really ends with."""
    assert rigqemu.run(tmp_path, str(tmp_path / "none.toml")) in rigqemu.CANNOT


@pytest.mark.usefixtures("own_out")
def test_a_folder_that_is_no_guest_cannot_be_run(tmp_path: Path) -> None:
    assert rigqemu.run(tmp_path, "packet_loss") in rigqemu.CANNOT


def test_the_reason_of_a_guest_that_cannot_be_made_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build() -> None:
        raise Unavailable("no room in the cache")

    monkeypatch.setattr(rigqemu, "build", build)
    assert rigqemu.main(["incident", "slow_card"]) == 2
    said = capsys.readouterr().out
    assert "no room in the cache" in said
    assert re.search(FIGURES.format(0, 2, 0), said)
