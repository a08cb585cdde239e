"""What editors and `git commit` are told is what the project holds itself to."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def section(name: str) -> dict[str, str]:
    text = (ROOT / ".editorconfig").read_text(encoding="utf-8")
    body = text.partition(f"[{name}]\n")[2].partition("\n[")[0]
    return dict(re.findall(r"^(\w+) = (\S+)$", body, re.MULTILINE))


def test_lines_are_as_long_in_an_editor_as_the_linter_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert section("*.py")["max_line_length"] == str(project["tool"]["ruff"]["line-length"])


def test_an_editor_indents_make_s_recipes_with_tabs_and_all_else_with_spaces() -> None:
    assert section("*")["indent_style"] == "space"
    assert section("{Makefile,*.c}")["indent_style"] == "tab"
    assert "\n\t$(PY)" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_hook_before_a_commit_runs_make_check_and_fetches_nothing() -> None:
    stated = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"entry: (.*)", stated) == ["make check"]
    assert re.findall(r"repo: (.*)", stated) == ["local"]
    for line in ("pass_filenames: false", "always_run: true", "language: system"):
        assert line in stated
