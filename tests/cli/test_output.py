"""Whatever becomes of stdout and stderr, and however narrow or plain the terminal: no traceback,
no escape sequence where none is understood, and an exit code that says what happened."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edge.cli.main import VERBS
from tests.long import one_in

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "deploy/site.example.toml")
FULL = Path("/dev/full")
DUMB: Mapping[str, Mapping[str, str]] = {
    "dumb": {"TERM": "dumb"},
    "unset": {},
    "no colour": {"TERM": "xterm", "NO_COLOR": "1"},
    "narrow": {"TERM": "dumb", "COLUMNS": "40"},
    "no width": {"TERM": "dumb", "COLUMNS": "0"},
    "a wrong width": {"TERM": "dumb", "COLUMNS": "wide"},
    "one column": {"TERM": "dumb", "COLUMNS": "1"},
}
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this machine has no /dev/full")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("TERM", "NO_COLOR", "COLUMNS")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **(more or {})}


def shell(
    words: Sequence[str], redirected: str, folder: Path, module: str = "edge.cli.main",
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """One command with its output sent somewhere by a shell."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirected}', "sh", sys.executable, "-m", module, *words],
        cwd=folder, env=environment(more), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


SML = re.search(
    r'''frames = \[\s*"([0-9a-f]+)"''',
    (ROOT / "tests/drivers/traces/sml.toml").read_text(encoding="utf-8"),
)


@pytest.fixture(scope="module")
def uses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """A use of each verb that prints a result at once, and needs nothing but files."""
    folder = tmp_path_factory.mktemp("uses")
    series = folder / "series.csv"
    series.write_text("timestamp,value\n" + "".join(f"{60 * n},{n % 7}\n" for n in range(200)))
    edges = folder / "edges.csv"
    rows = "".join(f"{500 * n},GPIO17,{n % 2}\n" for n in range(200))
    edges.write_text(f"t_ms,line,level\n{rows}")
    example = Path(EXAMPLE).read_text(encoding="utf-8")
    site = folder / "site.toml"
    site.write_text(
        example.replace('# dir = "/var/lib/kerbstone"', f'dir = "{folder}/store"').replace(
            '# run_dir = "/run/kerbstone"', f'run_dir = "{folder}/run"'
        ),
        encoding="utf-8",
    )
    assert SML is not None
    config = ["--config", str(site)]
    return {
        "check": ["check", str(site)],
        "check --json": ["check", "--json", str(site)],
        "replay": ["replay", *config, "--edges", str(edges)],
        "score": ["score", str(series)],
        "decode": ["decode", "sml", SML[1]],
        "status": ["status", *config],
        "status --json": ["status", "--json", *config],
        "models": ["models", *config],
        "support": ["support", "--list", *config],
        "sample": ["sample", "sdm630"],
        "doctor": ["doctor", "--list"],
        "sim": ["sim", "sen55", "--faults"],
        "version": ["--version"],
    }


USES = (
    "check", "check --json", "replay", "score", "decode", "status", "status --json", "models",
    "support", "version", "sample", "doctor", "sim",
)  # fmt: skip


def quiet(text: str) -> bool:
    return "Traceback" not in text and "Exception ignored" not in text


@one_in(6)
@pytest.mark.parametrize("verb", [*VERBS, ""])
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_help_that_cannot_be_written_is_one_line(verb: str, where: str, tmp_path: Path) -> None:
    done = shell([*([verb] if verb else []), "--help"], where, tmp_path)
    assert done.returncode == 3
    why = "No space left on device" if "full" in where else "it is closed"
    assert done.stderr == f"kerbstone: the output cannot be written: {why}\n"


@one_in(3)
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
@pytest.mark.parametrize("use", USES)
def test_a_result_that_cannot_be_written_is_one_line(
    use: str, where: str, uses: dict[str, list[str]], tmp_path: Path
) -> None:
    done = shell(uses[use], where, tmp_path)
    assert done.returncode == 3, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("kerbstone: ")]
    why = "No space left on device" if "full" in where else "it is closed"
    assert said == [f"kerbstone: the output cannot be written: {why}"]
    assert quiet(done.stderr)


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", ">/dev/full 2>&1", ">&- 2>&-", "<&-"])
def test_without_stderr_the_exit_code_still_says_it(where: str, tmp_path: Path) -> None:
    """Nothing that belongs on stderr comes to stdout, and what was asked for comes."""
    missing = shell(["check", str(tmp_path / "none.toml")], where, tmp_path)
    assert missing.returncode == 2
    assert missing.stdout == ""
    assert quiet(missing.stderr)
    if ">/dev/full 2" in where or ">&- 2" in where:
        return
    good = shell(["check", "--json", EXAMPLE], where, tmp_path)
    assert good.returncode == 0
    assert json.loads(good.stdout)["ok"] is True


@one_in(3)
@pytest.mark.parametrize("use", USES)
def test_a_reader_that_has_gone_is_no_fault(
    use: str, uses: dict[str, list[str]], tmp_path: Path
) -> None:
    """`kerbstone ... | head -0`."""
    done = shell(uses[use], "| true", tmp_path)
    assert quiet(done.stderr)
    assert "cannot be written" not in done.stderr


def test_the_number_of_a_closed_stdout_goes_to_no_file(
    uses: dict[str, list[str]], tmp_path: Path
) -> None:
    """What is opened next would have it, and `support --out -` would write into it."""
    words = [*uses["support"][:1], "--out", "-", *uses["support"][2:]]
    done = shell(words, ">&-", tmp_path)
    assert done.returncode == 3
    assert quiet(done.stderr)
    assert not [path for path in tmp_path.iterdir() if path.stat().st_size]


@one_in(4)
@pytest.mark.parametrize("verb", [*VERBS, ""])
def test_a_help_for_a_terminal_of_forty_columns(verb: str, tmp_path: Path) -> None:
    said = on_terminal([*([verb] if verb else []), "--help"], {"TERM": "dumb", "COLUMNS": "40"})
    assert quiet(said)
    assert "\x1b" not in said
    assert said.startswith(f"usage: kerbstone{f' {verb}' if verb else ''}")
    assert max(map(len, said.splitlines())) <= 40


@one_in(5)
@pytest.mark.parametrize("kind", DUMB)
@pytest.mark.parametrize("use", USES)
def test_a_terminal_that_understands_nothing_gets_no_escape(
    use: str, kind: str, uses: dict[str, list[str]]
) -> None:
    said = on_terminal(uses[use], DUMB[kind])
    assert quiet(said)
    assert kind == "no colour" or "\x1b" not in said
    assert not re.search(r"\x1b\[[0-9;]*m", said)


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0",
         "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "xx_XX.none"},
    ],
)  # fmt: skip
def test_a_locale_of_few_letters_ends_nothing(locale: Mapping[str, str], tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    text = Path(EXAMPLE).read_text(encoding="utf-8")
    site.write_text(text.replace("Bäckerei", "شارع").replace('kind = "loading', 'kind = "شارع'))
    done = shell(["check", str(site)], "", tmp_path, more=locale)
    assert done.returncode == 2
    assert quiet(done.stderr)
    assert 'is not one of "loading"' in done.stderr
    assert shell(["sim", "--help"], "", tmp_path, more=locale).returncode == 0


@pytest.mark.parametrize("verb", ["", "status", "run", "offline"])
def test_enrolment_keeps_to_it_too(verb: str, tmp_path: Path) -> None:
    words = [*([verb] if verb else []), "--help"]
    done = shell(words, ">/dev/full", tmp_path, module="edge.identity.main")
    assert done.returncode == 3
    assert done.stderr == (
        "kerbstone-enrol: the output cannot be written: No space left on device\n"
    )


def on_terminal(words: Sequence[str], more: Mapping[str, str]) -> str:
    """All that a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", *words],
        cwd=ROOT, env=environment(more), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        said = b""
        try:
            while found := os.read(ours, 65536):
                said += found
        except OSError:  # its end, on Linux
            pass
        process.wait(120)
    os.close(ours)
    return said.decode()
