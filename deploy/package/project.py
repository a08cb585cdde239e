"""The checkout that is built: its version, its time, its own wheel."""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.version import Version

from deploy.package.errors import BuildError, report
from deploy.package.lock import ROOT


def version() -> str:
    """As pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(Version(project["version"]))


def debian(version: str) -> str:
    """A version in Debian's order, where `~` is before nothing."""
    found = Version(version)
    text = ".".join(map(str, found.release))
    if found.pre:
        text += "~{}{}".format(*found.pre)
    if found.post is not None:
        text += f"+post{found.post}"
    if found.dev is not None:
        text += f"~dev{found.dev}"
    return text + (f"+{found.local}" if found.local else "")


def git(*arguments: str) -> str:
    """What git says of this checkout."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(
            f"git does not know when this was committed ({error}). Build from a checkout with git"
            " installed, or set SOURCE_DATE_EPOCH to seconds since 1970"
        ) from error


def epoch() -> int:
    """SOURCE_DATE_EPOCH, else the time of the last commit: the time of all that is built."""
    text = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise BuildError(f"SOURCE_DATE_EPOCH is {text!r}; it must be seconds since 1970")
    return int(text)


def clean() -> bool:
    """Whether all that is here is committed, as far as git is here to know."""
    try:
        return not git("status", "--porcelain")
    except BuildError:
        return True


def wheel(folder: Path, moment: int) -> Path:
    """Builds the project's own wheel into a folder, with hatchling as it is installed here."""
    if not clean():
        report("warning: the checkout has changes that are not committed: this is no release")
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place],
            cwd=ROOT,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(moment)},
            capture_output=True,
            text=True,
            check=False,
        )
        built = list(Path(place).glob("kerbstone-*.whl"))
        if done.returncode or len(built) != 1:
            report((done.stdout + done.stderr).rstrip())
            raise BuildError(
                "the project's own wheel was not built. `make venv` installs what it needs"
            )
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / built[0].name
        path.write_bytes(built[0].read_bytes())
    return path
