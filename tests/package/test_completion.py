"""Completion in bash and zsh: verbs, options, choices, files, and names of the site file."""

import shutil
import subprocess
from pathlib import Path

import pytest

import drivers
from deploy.package.completion import BASH, ZSH, scripts
from edge.cli.main import VERBS

SCRIPTS = scripts()
SITE = """\
[site]
id = "a"
  [device.hut_air]
[device.main-meter] # a comment
[lane.north_1]
[bus.meters]
[device.$(touch owned)]
[device."x y"]
"""
IN_BASH = """\
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
"_${1//-/_}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
IN_ZSH = """\
compadd() { [[ $1 == -- ]] && shift; local one
    for one in "$@"; do [[ $one == ${words[CURRENT]}* ]] && print -r -- $one; done; true }
_files() { print -rl -- ${words[CURRENT]}*(N) }
complete() { source $script }
script=$1; shift
words=("$@"); CURRENT=$#
complete
"""


def needs(shell: str) -> object:
    missing = shutil.which(shell) is None
    return pytest.param(
        shell, marks=pytest.mark.skipif(missing, reason=f"{shell} is not installed")
    )


SHELLS = [needs("bash"), needs("zsh")]


def completed(shell: str, folder: Path, *words: str) -> list[str]:
    """What stands for the last word, as its beginning is typed."""
    goal = BASH / words[0] if shell == "bash" else ZSH / f"_{words[0]}"
    script = folder / ".completion"
    script.write_text(SCRIPTS[goal], encoding="utf-8")
    flags = ["--norc", "-u"] if shell == "bash" else ["-f"]
    code = IN_BASH if shell == "bash" else IN_ZSH
    done = subprocess.run(
        [shell, *flags, "-c", code, shell, str(script), *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_verbs_options_and_choices(shell: str, tmp_path: Path) -> None:
    def after(*words: str) -> set[str]:
        return set(completed(shell, tmp_path, "kerbstone", *words))

    assert after("") == VERBS.keys()
    assert after("s") == {verb for verb in VERBS if verb.startswith("s")}
    assert after("sta") == {"status"}
    assert {"--config", "--json", "--help"} <= after("status", "--")
    assert after("status", "--js") == {"--json"}
    assert {"new", "approve", "revoke"} <= after("provision", "")
    assert after("provision", "approve", "--c") == {"--code"}
    assert after("outbox", "rescue", "--ow") == {"--owner"}
    assert "keyCompromise" in after("provision", "revoke", "7", "--reason", "")
    assert after("decode", "") == set(drivers.names())
    assert after("decode", "sds") == {"sds011"}
    assert after("demo", "--seconds", "") <= {""}


@pytest.mark.parametrize("shell", SHELLS)
def test_files(shell: str, tmp_path: Path) -> None:
    for name in ("site.toml", "site two.toml", "other"):
        (tmp_path / name).write_text("")
    for words in (["check"], ["status", "--config"], ["run"]):
        found = completed(shell, tmp_path, "kerbstone", *words, "site")
        assert set(found) == {"site.toml", "site two.toml"}, words


@pytest.mark.parametrize("shell", SHELLS)
def test_names_of_the_site_file(shell: str, tmp_path: Path) -> None:
    """Nothing in it is run, whatever a table is called."""
    (tmp_path / "my.toml").write_text(SITE)

    def after(*words: str) -> set[str]:
        return set(completed(shell, tmp_path, "kerbstone", *words))

    config = ("--config", "my.toml")
    assert after("read", *config, "") == {"hut_air", "main-meter", "north_1"}
    assert after("doctor", *config, "m") == {"main-meter", "meters"}
    assert after("doctor", *config, "hut_air", "n") == {"north_1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".completion", "my.toml"]
    assert after("read", "--config", "none.toml", "") <= {""}


@pytest.mark.parametrize("shell", SHELLS)
def test_enrolment_is_completed_too(shell: str, tmp_path: Path) -> None:
    found = set(completed(shell, tmp_path, "kerbstone-enrol", ""))
    assert {"status", "offline", "forget", "renew"} <= found
    assert completed(shell, tmp_path, "kerbstone-enrol", "forget", "--y") == ["--yes"]
