"""Bytecode, made ahead by the same Python: the root of a box is read-only, and it never writes any.

It is not checked against its source when it is loaded ("unchecked-hash"): no time of a file is in
it, and a box saves the look at each source. What dpkg verifies is its own list of files.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from deploy.package.errors import BuildError, report
from deploy.package.target import Target

VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def interpreter(target: Target) -> str:
    """A Python here that writes bytecode for the target; bytecode is the same on all machines."""
    # the distribution's own first: the box runs the same one
    names = ["/usr/bin/python3", sys.executable, f"python{target.dotted}"]
    for name in names:
        found = shutil.which(name)
        if found is None:
            continue
        done = subprocess.run([found, "-I", "-c", VERSION], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == target.dotted:
            return found
    raise BuildError(
        f"no Python {target.dotted} is here to compile for {target}. On Debian 13:"
        " apt install python3; or build without bytecode: --no-bytecode"
    )


def compiled(site: Path, stage: Path, target: Target) -> None:
    """Writes bytecode beside each module below `site`; `stage` is no part of the paths in it."""
    python = interpreter(target)
    report(f"compiling with {python}")
    command = [python, "-I", "-m", "compileall", "-q", "-f", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(stage), "-p", "/", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONHASHSEED": "0"})
    if done.returncode:
        report((done.stdout + done.stderr).rstrip())
        raise BuildError(f"{python} cannot compile a module of the slot; its words are above")
