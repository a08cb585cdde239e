"""onnxruntime reports to its maker unless it is told not to: none of our processes lets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAEMON = """
from pathlib import Path
from edge.infer.modelsession import ModelSession
ModelSession(Path("models/anomaly"))
"""
DESK = """
from pathlib import Path
from models.congestion.congestionrunner import ShippedBundle
ShippedBundle(Path("models/congestion"))
"""


@pytest.mark.parametrize("code", [DAEMON, DESK])
def test_a_model_leaves_no_identifier_of_this_machine_behind(code: str, tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "XDG_"))}
    environ |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", f"{code}\nimport time; time.sleep(0.3)"],
        env=environ, cwd=ROOT, check=True, timeout=100,
    )  # fmt: skip
    assert sorted(tmp_path.rglob("*")) == []
