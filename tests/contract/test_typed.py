"""A field that is renamed in the contract, and not where it is filled, fails type checking."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED = ("edge/process", "edge/infer", "edge/outbox/drops.py", "edge/uplink/manifests.py",
           "edge/gateway/rawdrafts.py", "edge/gateway/recover.py")  # fmt: skip
RENAMED = [
    ("traffic", "volume", ("edge/process/traffic/loopwindow.py", "edge/infer/seriesfeatures.py")),
    ("points", "covered_s", ("edge/process/devicewindow.py", "edge/process/merge.py")),
    ("histogram", "counts", ("edge/process/traffic/histogram.py",)),
    ("event", "max_stay_min", ("edge/process/baywindow.py", "edge/process/snapshot.py")),
    ("boxevent", "epoch_of", ("edge/outbox/drops.py",)),
    ("boxevent", "boot_before", ("edge/gateway/recover.py",)),
    ("manifest", "sha256", ("edge/uplink/manifests.py",)),
    ("raw", "given_up", ("edge/gateway/rawdrafts.py",)),
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package once more, and proof that it is in order as it is."""
    folder = tmp_path_factory.mktemp("typed")
    shutil.copytree(ROOT / "edge", folder / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("drivers", "models"):
        (folder / name).symlink_to(ROOT / name)
    assert errors(folder) == ""
    return folder


def errors(folder: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *CHECKED]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


@pytest.mark.long
@pytest.mark.parametrize(("module", "field", "places"), RENAMED)
def test_a_renamed_field_fails_type_checking(
    copied: Path, module: str, field: str, places: tuple[str, ...]
) -> None:
    path = copied / "edge/wire/contract" / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    # never two of one length: mypy takes files of one size and second for the same
    longer = "_" * (1 + [(other, name) for other, name, _ in RENAMED].index((module, field)))
    renamed, count = re.subn(rf"(?m)^    {field}:", f"    {field}{longer}renamed:", text)
    assert count, f"{module}.py declares {field}"
    path.write_text(renamed, encoding="utf-8")
    try:
        found = errors(copied)
    finally:
        path.write_text(text, encoding="utf-8")
    for place in places:
        assert place in found
