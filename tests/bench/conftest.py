import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.nominal import NominalUse, measure
from tests.bench.outage import Week
from tests.bench.outage import week as made_week
from tests.bench.report import Report
from tests.bench.rig import forget_folders, memory_folder
from tests.kit.broker import BINARY
from tests.kit.process import COMPILED, ROOT, environment


def warm_up() -> None:
    """Compile what will be imported: whoever does that first would need more time and memory."""
    # neither goes on with these arguments, but by then all is imported
    start = "import runpy, sys; sys.argv[1:] = ['run', '--help']; runpy.run_module"
    for module in ("tests.bench.launch", "tests.bench.script"):
        command = [sys.executable, "-c", f"{start}({module!r}, run_name='__main__')"]
        subprocess.run(command, cwd=ROOT, env=environment(), check=False, capture_output=True)


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    warm_up()
    made = Report()
    yield made
    print("\n\n" + made.text())
    forget_folders()
    shutil.rmtree(COMPILED, ignore_errors=True)


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    """A week without network, made by the first who asks."""
    # in memory: its size counts, not the time that a disk needs for ten thousand commits
    return made_week(memory_folder(tmp_path_factory.mktemp("week")) / "outbox")


@pytest.fixture(scope="session")
def nominal(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NominalUse]:
    """Some minutes of the nominal street, lived through by the first who asks."""
    return measure(tmp_path_factory.mktemp("nominal") / "street")
