"""What a former version has kept of commissioning is gone on with, and its sheets are checked."""

import asyncio
import json
from pathlib import Path

import pytest

from edge.gateway.commissionfiles import CommissionFiles
from edge.platform.acceptancecheck import check_sheet
from tests.compat.versions import VERSIONS, manifest, unpack

KEPT = [version for version in VERSIONS if "commissioning" in manifest(version)]


@pytest.mark.parametrize("version", KEPT)
def test_commissioning_goes_on_and_sheets_hold(version: str, tmp_path: Path) -> None:
    folder = unpack(version, "commissioning", tmp_path)
    told = manifest(version)["commissioning"]
    files = CommissionFiles(folder)
    session = files.load()
    assert (session.by, session.number) == (told["by"], told["number"])
    assert {
        name: [each.kind for each in step.findings] for name, step in session.steps.items()
    } == told["steps"]
    for number, digest in told["sheets"].items():
        file = files.sheet(int(number))
        assert check_sheet(json.dumps(file).encode(), told_sha256=digest).faults == ()
        assert digest in (files.page(int(number)) or "")
    session.by = "Carl"
    asyncio.run(asyncio.to_thread(files.save, session))
    assert files.load() == session
