"""Make a version: `make release VERSION=1.2.3`, from a checkout that is ready for it.

All reasons to refuse are listed at once, before anything is done. Then: `make check` and `make
test`; the contract is sealed as what this version promises, and committed; wheel, package, bundle
and SBOM are built into dist/, with their SHA256SUMS; the tag comes last, so that whatever has a tag
was tested and built. When a test or a build fails, the same command begins again.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from deploy.package import sums
from deploy.package.errors import BuildError, ended, report
from deploy.package.lock import ROOT

SEALED: Final = "docs/contract/released"
KEPT: Final = "tests/compat/{}/MANIFEST.json"  # what later versions have to read
FORM: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}")
SECTION: Final = re.compile(r"^## +(.*?) *$", re.MULTILINE)
DATED: Final = re.compile(r"(\S+) \((\d{4}-\d{2}-\d{2})\)")
PYTHON: Final = sys.executable
Run = Callable[[Sequence[str]], None]


def files(version: str) -> list[str]:
    """What a version consists of, in dist/."""
    return [
        f"kerbstone-{version}-py3-none-any.whl",
        f"kerbstone_{version}_arm64.deb",
        f"kerbstone-{version}-wheels-aarch64.tar",
        f"kerbstone-{version}.cdx.json",
    ]


def builds(root: Path, version: str) -> list[list[str]]:
    """The commands that make them."""
    dist = root / "dist"
    package = [PYTHON, "-m"]
    return [
        [*package, "hatchling", "build", "-t", "wheel", "-d", str(dist)],
        [*package, "deploy.package.deb", "--out", str(dist)],
        [*package, "deploy.package.bundle", "--out", str(dist)],
        [*package, "deploy.package.sbom", "--out", str(dist / f"kerbstone-{version}.cdx.json")],
    ]


def git(root: Path, *words: str) -> str:
    """What git answers. Raises BuildError."""
    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except OSError as error:
        raise BuildError(f"git cannot be run: {error}") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"git {words[0]}: {error.stderr.strip()}") from error


# -- what has to be so ---------------------------------------------------------------------------


def unlike(root: Path, version: str) -> list[str]:
    """Where the checkout says another version."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if project["version"] == version:
        return []
    return [f"pyproject.toml has version {project['version']}, and not {version}"]


def untold(news: str, version: str, today: date) -> list[str]:
    """What is wrong with the changelog: it has to begin with this version, dated, with words."""
    found = list(SECTION.finditer(news))
    head = found[0][1] if found else "nothing"
    dated = DATED.fullmatch(head)
    if dated is None or dated[1] != version:
        wanted = f"## {version} ({today})"
        return [f"CHANGELOG.md begins with {head!r}: its first section has to be {wanted!r}"]
    problems = []
    try:
        if date.fromisoformat(dated[2]) > today:
            problems.append(f"CHANGELOG.md: {version} is of {dated[2]}, which is to come")
    except ValueError:
        problems.append(f"CHANGELOG.md: {dated[2]} is no day")
    if not news[found[0].end() : found[1].start() if len(found) > 1 else None].strip():
        problems.append(f"CHANGELOG.md says nothing of {version}")
    if [each[1].split(" ")[0] for each in found].count(version) > 1:
        problems.append(f"CHANGELOG.md has more than one section of {version}")
    return problems


def nameless(root: Path) -> str:
    """Why git can neither commit nor tag here; "" when it can."""
    try:
        git(root, "var", "GIT_COMMITTER_IDENT")
    except BuildError:
        return "git does not know who makes it: set user.name and user.email"
    return ""


def refusals(root: Path, version: str, today: date) -> list[str]:
    """Every reason why this checkout cannot become this version."""
    if not FORM.fullmatch(version):
        return [f"{version!r} is no version: make release VERSION=1.2.3"]
    problems = []
    if changes := git(root, "status", "--porcelain").splitlines():
        more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
        problems.append(f"not all is committed: {', '.join(c.strip() for c in changes[:3])}{more}")
    problems += unlike(root, version)
    problems += untold((root / "CHANGELOG.md").read_text(encoding="utf-8"), version, today)
    if not (root / KEPT.format(version)).is_file():
        how = f"python -m tests.compat.make {version}"
        problems.append(f"{Path(KEPT.format(version)).parent} is not there: {how} makes it")
    if unnamed := nameless(root):
        problems.append(unnamed)
    if git(root, "tag", "--list", f"v{version}"):
        problems.append(f"the tag v{version} is there already: a version is made once")
    return problems


# -- what is done --------------------------------------------------------------------------------


def seal(root: Path, version: str, run: Run) -> None:
    """What this version promises, committed where it is not yet."""
    run([PYTHON, "docs/generate.py", "--release"])
    git(root, "add", "--all", SEALED)
    if git(root, "status", "--porcelain", "--", SEALED):
        why = "What a later version may not break under the same `v`; `make release` wrote it."
        git(root, "commit", "-m", f"Seal the contract as {version} promises it", "-m", why)
    if left := git(root, "status", "--porcelain"):
        raise BuildError(f"making the documents has changed more than the seal: {left}")


def summed(dist: Path, version: str) -> Path:
    """SHA256SUMS of this version only: dist/ may hold others."""
    there = {name: dist / name for name in files(version)}
    if missing := [name for name, path in there.items() if not path.is_file()]:
        raise BuildError(f"not in {dist}: {', '.join(missing)}")
    out = dist / sums.NAME
    out.write_text(sums.of(there), encoding="utf-8")
    return out


def released(root: Path, version: str, today: date, run: Run) -> str:
    """All of it; what to do next. Raises BuildError."""
    if problems := refusals(root, version, today):
        raise BuildError("\n  ".join(["no version is made:", *problems]))
    run(["make", "check"])
    run(["make", "test", "PYTEST="])  # all of them, whatever `make release` was given
    seal(root, version, run)
    (root / "dist").mkdir(exist_ok=True)
    for command in builds(root, version):
        run(command)
    listed = summed(root / "dist", version)
    git(root, "tag", "--annotate", f"v{version}", "--message", f"Kerbstone {version}")
    return following(version, listed)


def following(version: str, listed: Path) -> str:
    """What a person does next."""
    return f"""Kerbstone {version} is made, and tagged v{version}:
{listed.read_text(encoding="utf-8").rstrip()}
Next:
  git push origin HEAD v{version}
  make deb-test DEB={listed.parent}/kerbstone_{version}_arm64.deb   as root, on arm64
  make image && make image-test         as root; adds the image to SHA256SUMS
  give away what SHA256SUMS names, with it
Then, for what follows: a higher version in pyproject.toml and edge/core/release.py, RELEASED there
moved to the day of this version, and `## Unreleased` on top of CHANGELOG.md"""


def runner(root: Path) -> Run:
    """Runs a command in the checkout. Our Python finds it, and builds with the last commit's time;
    `make` has the environment that it always has.
    """

    def run(command: Sequence[str]) -> None:
        report(f"== {' '.join(Path(word).name if word == PYTHON else word for word in command)}")
        env = dict(os.environ)
        if command[0] == PYTHON:
            moment = git(root, "log", "-1", "--format=%ct")
            env |= {"PYTHONPATH": str(root), "SOURCE_DATE_EPOCH": moment}
        done = subprocess.run(command, cwd=root, env=env, check=False)
        if done.returncode:
            raise BuildError(f"{' '.join(command)} ended with {done.returncode}; nothing is tagged")

    return run


def main() -> None:
    """One command."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("version", nargs="?", default="")
    options = parser.parse_args()
    print(released(ROOT, options.version, datetime.now(UTC).date(), runner(ROOT)))


if __name__ == "__main__":
    sys.exit(ended(main))
