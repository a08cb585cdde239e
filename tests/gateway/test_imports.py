"""What the daemon loads before it knows its site: a box pays for the libraries that it uses."""

import subprocess
import sys
from typing import Final

import pytest

DEAR: Final = {
    "gpiozero": "for boxes with lines: a twentieth of the daemon's memory with gpiod",
    "gpiod": "with gpiozero",
    "importlib.metadata": "for drivers of third parties",
    "numpy": "with a model",
    "onnxruntime": "with a model",
    "textual": "for who looks on, in a process of its own",
    "cryptography.hazmat": "for certificates and claims; the daemon signs without it",
}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    ask = "import edge.gateway.daemon, sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", ask], text=True).split())


@pytest.mark.parametrize("name", DEAR)
def test_the_daemon_loads_nothing_that_this_site_may_not_need(loaded: set[str], name: str) -> None:
    assert "edge.gateway.daemon" in loaded
    assert name not in loaded, DEAR[name]


def test_a_bus_with_lines_brings_its_library() -> None:
    ask = "import drivers.buses.gpio, sys; print(*sys.modules)"
    found = subprocess.check_output([sys.executable, "-c", ask], text=True)
    assert "gpiozero" in found.split()
