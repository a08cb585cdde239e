"""`make rig-qemu`: scenarios of the library on a guest with a real kernel.

    python -m tests.kernel.rigqemu [NAME ...]

Without a name the incident. Prints how each ended, how many there were and how long they took.
Exit codes: 0 all passed, 1 some did not, 2 none was run.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.kernel.build import ROOT, build
from tests.kernel.offer import Unavailable
from tests.kernel.rigguest import rig_guest

LIBRARY: Final = ROOT / "edge/rig/library"
USUAL: Final = ("incident",)
OUT: Final = ROOT / "build/rig-qemu"


def main(names: list[str]) -> int:
    try:
        guest = rig_guest(build())
    except Unavailable as reason:
        print(f"nothing was shown: there is no guest to boot: {reason}")
        return 2
    began = time.monotonic()
    codes = {name: run(guest, name) for name in names or USUAL}
    passed = sum(code == 0 for code in codes.values())
    minutes = (time.monotonic() - began) / 60
    print(f"{passed} of {len(codes)} scenarios passed on qemu in {minutes:.1f} min; {OUT} has more")
    return 0 if codes and passed == len(codes) else 1


def run(guest: Path, name: str) -> int:
    """The exit code of `kerbstone rig run`."""
    file = Path(name) if name.endswith(".toml") else LIBRARY / f"{name}.toml"
    began = time.monotonic()
    command = [
        sys.executable, "-m", "edge.cli.main", "rig", "run", str(file), "--layer", "qemu",
        "--guest", str(guest), "--out", str(OUT / file.stem),
    ]  # fmt: skip
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"{name}: exit code {code}, {(time.monotonic() - began) / 60:.1f} min", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
