"""`make rig-qemu`: scenarios of the library on a guest with a real kernel.

    python -m tests.kernel.rigqemu [NAME ...]

Without a name the incident. Prints how each ended, how many there were and how long they took.
Exit codes: 0 all passed, 1 some did not, 2 none was run: there is no guest, or none could begin.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.kernel.build import ROOT, build
from tests.kernel.offer import Unavailable
from tests.kernel.rigguest import rig_guest

LIBRARY: Final = ROOT / "edge/rig/library"
USUAL: Final = ("incident",)
OUT: Final = ROOT / "build/rig-qemu"
CANNOT: Final = frozenset({2, 3})
"""What `kerbstone rig run` ends with when it could not run the scenario."""


def main(names: Sequence[str]) -> int:
    began = time.monotonic()
    names = names or USUAL
    try:
        guest = rig_guest(build())
    except Unavailable as reason:
        print(f"there is no guest to boot: {reason}")
        codes = [3 for _ in names]
    else:
        codes = [run(guest, name) for name in names]
    ran, passed = sum(code not in CANNOT for code in codes), codes.count(0)
    minutes = (time.monotonic() - began) / 60
    print(f"{ran} of {len(codes)} scenarios ran on qemu, {passed} passed, in {minutes:.1f} min")
    if not ran:
        print("nothing was shown")
        return 2
    print(f"{OUT} has more")
    return int(passed < len(codes))


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
