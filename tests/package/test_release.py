"""`make release` refuses what is not ready; what it has tagged was tested, sealed and built."""

import subprocess
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest

from deploy import release
from deploy.package.errors import BuildError

TODAY = date(2026, 12, 3)
VERSION = "1.2.3"
NEWS = "# Changelog\n\n## 1.2.3 (2026-12-01)\n\n- It reads.\n\n## 1.2.2 (2026-11-01)\n\n- It did.\n"
PROJECT = '[project]\nname = "kerbstone"\nversion = "1.2.3"\n'
KEPT = "tests/compat/1.2.3/MANIFEST.json"
SEAL = "docs/contract/released/v1/RELEASE"
STEPS = ["check", "test", "--release", "hatchling", ".deb", ".bundle", ".sbom"]


def git(place: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", place, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "commit", "-qm", "more")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that is ready for 1.2.3, with a repository of its own."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@b.example")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "pyproject.toml").write_text(PROJECT)
    (origin / "CHANGELOG.md").write_text(NEWS)
    (origin / ".gitignore").write_text("dist/\n")
    (origin / KEPT).parent.mkdir(parents=True)
    (origin / KEPT).write_text("{}\n")
    git(origin, "init", "-q")
    commit(origin)
    git(tmp_path, "clone", "-q", str(origin), "clone")
    return tmp_path / "clone"


class Steps:
    """In place of checks, tests and builds that take minutes: leaves what they leave."""

    def __init__(self, root: Path, fails: str = "") -> None:
        self.root, self.fails = root, fails
        self.ran: list[str] = []

    def __call__(self, command: Sequence[str]) -> None:
        text = " ".join(command)
        step = next(word for word in STEPS if word in command[1:] or f"package{word}" in text)
        self.ran.append(step)
        if step == "test":
            assert "PYTEST=" in command, "not some of the tests only"
        assert git(self.root, "tag") == "", "the tag comes last"
        if step == self.fails:
            raise BuildError(f"{step} failed")
        if step == "--release":
            path = self.root / SEAL
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{VERSION}\n")
        elif step not in ("check", "test"):
            assert git(self.root, "show", f"HEAD:{SEAL}") == VERSION, "the seal is in what is built"
            name = release.files(VERSION)[STEPS.index(step) - 3]
            (self.root / "dist" / name).write_text(step)


def made(clone: Path, steps: Steps, version: str = VERSION) -> str:
    return release.released(clone, version, TODAY, steps)


def written(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(clone: Path) -> None:
        text = (clone / name).read_text()
        assert old in text
        (clone / name).write_text(text.replace(old, new, 1))
        commit(clone)

    return change


NEW = "## 1.2.3 (2026-12-01)"
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a change that is not committed": (
        lambda clone: (clone / "CHANGELOG.md").write_text(NEWS + "\n"),
        "not all is committed: M CHANGELOG.md",
    ),
    "a file that nobody knows": (
        lambda clone: (clone / "new.py").touch(),
        r"not all is committed: \?\? new.py",
    ),
    "another version in the project": (
        written("pyproject.toml", VERSION, "1.2.4"),
        "pyproject.toml has version 1.2.4, and not 1.2.3",
    ),
    "news that are not named yet": (
        written("CHANGELOG.md", NEW, "## Unreleased"),
        r"begins with 'Unreleased': its first section has to be '## 1.2.3 \(2026-12-03\)'",
    ),
    "news of another version": (
        written("CHANGELOG.md", NEW, "## 1.2.4 (2026-12-01)"),
        r"begins with '1.2.4 \(2026-12-01\)'",
    ),
    "news without a day": (written("CHANGELOG.md", NEW, "## 1.2.3"), "begins with '1.2.3'"),
    "news of tomorrow": (
        written("CHANGELOG.md", "(2026-12-01)", "(2026-12-04)"),
        "1.2.3 is of 2026-12-04, which is to come",
    ),
    "news of a day that is none": (
        written("CHANGELOG.md", "(2026-12-01)", "(2026-02-30)"),
        "2026-02-30 is no day",
    ),
    "news that say nothing": (
        written("CHANGELOG.md", "- It reads.\n", ""),
        r"CHANGELOG.md says nothing of 1\.2\.3",
    ),
    "the same news twice": (
        written("CHANGELOG.md", "## 1.2.2 (2026-11-01)", "## 1.2.3 (2026-11-01)"),
        r"more than one section of 1\.2\.3",
    ),
    "no news at all": (
        written("CHANGELOG.md", NEWS, "# Changelog\n"),
        "begins with 'nothing'",
    ),
    "no folder of what it leaves on disks": (
        lambda clone: git(clone, "rm", "-q", KEPT) + git(clone, "commit", "-qm", "less"),
        r"tests/compat/1\.2\.3 is not there: python -m tests\.compat\.make 1\.2\.3 makes it",
    ),
    "a tag that is there": (
        lambda clone: git(clone, "tag", "v1.2.3"),
        r"the tag v1\.2\.3 is there already",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_ready_is_refused_and_nothing_is_done(what: str, clone: Path) -> None:
    change, sentence = REFUSED[what]
    change(clone)
    before = git(clone, "rev-parse", "HEAD"), git(clone, "tag"), git(clone, "status", "--porcelain")
    steps = Steps(clone)
    with pytest.raises(BuildError, match=sentence) as result:
        made(clone, steps)
    assert str(result.value).count("\n") == 1, "one reason"
    assert steps.ran == []
    after = git(clone, "rev-parse", "HEAD"), git(clone, "tag"), git(clone, "status", "--porcelain")
    assert (before, (clone / "dist").exists()) == (after, False)


@pytest.mark.parametrize(
    "version", ["", "1.2", "v1.2.3", "1.2.3rc1", "01.2.3", "1.2.3\n", "1.2.3.4"]
)
def test_only_three_numbers_are_a_version(version: str, clone: Path) -> None:
    with pytest.raises(BuildError, match=r"make release VERSION=1\.2\.3"):
        made(clone, Steps(clone), version)


def test_all_reasons_are_told_at_once(clone: Path) -> None:
    written("CHANGELOG.md", NEW, "## Unreleased")(clone)
    for number in range(5):
        (clone / f"new{number}").touch()
    git(clone, "tag", "v1.2.9")
    result = release.refusals(clone, "1.2.9", TODAY)
    assert [each.split()[0] for each in result] == [
        "not", "pyproject.toml", "CHANGELOG.md", "tests/compat/1.2.9", "the",
    ]  # fmt: skip
    assert result[0].endswith(", and 2 more")


def test_a_clone_in_which_git_knows_nobody_is_refused(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_NAME")
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
    git(clone, "config", "user.useConfigOnly", "true")
    assert release.refusals(clone, VERSION, TODAY) == [
        "git does not know who makes it: set user.name and user.email"
    ]


def test_a_folder_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(BuildError, match="git status"):
        release.refusals(tmp_path, VERSION, TODAY)


def test_a_version_is_checked_tested_sealed_built_summed_and_then_tagged(clone: Path) -> None:
    steps = Steps(clone)
    (clone / "dist").mkdir()
    (clone / "dist/kerbstone-1.2.2-py3-none-any.whl").write_text("of another version")
    result = made(clone, steps)
    assert steps.ran == STEPS
    assert git(clone, "cat-file", "-t", "v1.2.3") == "tag", "annotated"
    assert git(clone, "rev-parse", "v1.2.3^{commit}") == git(clone, "rev-parse", "HEAD")
    assert git(clone, "log", "-1", "--format=%s") == "Seal the contract as 1.2.3 promises it"
    assert git(clone, "diff", "--name-only", "HEAD^") == SEAL
    assert git(clone, "status", "--porcelain") == ""
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=clone / "dist", check=True)
    listed = (clone / "dist/SHA256SUMS").read_text()
    assert sorted(line.split()[1] for line in listed.splitlines()) == sorted(release.files(VERSION))
    assert "git push origin HEAD v1.2.3" in result
    assert listed.strip() in result


@pytest.mark.parametrize("step", STEPS)
def test_what_fails_on_the_way_leaves_no_tag_and_can_be_started_again(
    step: str, clone: Path
) -> None:
    with pytest.raises(BuildError, match="failed"):
        made(clone, Steps(clone, step))
    assert git(clone, "tag") == ""
    assert git(clone, "status", "--porcelain") == ""
    made(clone, Steps(clone))
    assert git(clone, "tag") == "v1.2.3"
    assert git(clone, "rev-list", "--count", "HEAD") == "2", "it is sealed once"


def test_a_build_that_leaves_nothing_is_not_tagged(clone: Path) -> None:
    steps = Steps(clone)

    def forgets(command: Sequence[str]) -> None:
        steps(command)
        (clone / "dist/kerbstone_1.2.3_arm64.deb").unlink(missing_ok=True)

    with pytest.raises(BuildError, match=r"not in .*: kerbstone_1\.2\.3_arm64\.deb"):
        release.released(clone, VERSION, TODAY, forgets)
    assert git(clone, "tag") == ""


def test_more_than_the_seal_may_not_change_on_the_way(clone: Path) -> None:
    steps = Steps(clone)

    def writes(command: Sequence[str]) -> None:
        steps(command)
        (clone / "CHANGELOG.md").write_text(NEWS + "\n")

    with pytest.raises(BuildError, match="more than the seal"):
        release.released(clone, VERSION, TODAY, writes)
    assert git(clone, "tag") == ""


def test_what_builds_has_the_time_of_the_commit_and_make_its_own_environment(
    clone: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a PYTHONPATH of ours the tests of a version were others than those of `make test`."""
    for name in ("PYTHONPATH", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    run = release.runner(clone)
    ask = "import os; print(*map(os.environ.get, ('SOURCE_DATE_EPOCH', 'PYTHONPATH')), os.getcwd())"
    run([release.PYTHON, "-c", ask])
    moment = git(clone, "log", "-1", "--format=%ct")
    assert capfd.readouterr().out.split() == [moment, str(clone), str(clone)]
    run(["sh", "-c", "echo -$SOURCE_DATE_EPOCH-$PYTHONPATH-; pwd"])
    assert capfd.readouterr().out.split() == ["---", str(clone)]


def test_a_command_that_fails_is_named(clone: Path) -> None:
    run = release.runner(clone)
    with pytest.raises(BuildError, match="false ended with 1; nothing is tagged"):
        run(["false"])
