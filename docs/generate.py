"""Write the documents that are made from code; with --check say which of them are stale.

Run by `make docs` and `make check`, from the repository's root. With --release (`make release`) the
schemas of the wire are sealed as what this release promises, too. While no version has promised
anything, what would break those who follow the last commit is printed, and fails nothing.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import drivers
from docs import promise
from docs.catalogue import catalogue
from docs.conformchecks import conform_page
from docs.doctorchecks import doctor_page
from docs.filemap import file_map
from docs.issuekinds import issues_page
from docs.librarypage import PAGE, PICTURES, library_page, library_pictures
from docs.pagewords import check_words, issue_words
from docs.scenariopage import scenario_page, schema_text
from edge.config.reference import render_reference

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final[dict[str, Callable[[], str]]] = {
    "docs/configuration.md": lambda: render_reference(drivers.catalogue()),
    "docs/architecture/files.md": file_map,
    "docs/issues.md": issues_page,
    "docs/doctor.md": doctor_page,
    "docs/conform.md": conform_page,
    "docs/scenarios.md": scenario_page,
    "docs/schemas/scenario.json": schema_text,
    PAGE: library_page,
    **library_pictures(),
    "drivers/README.md": catalogue,
    "edge/web/words/en/issues.json": issue_words,
    "edge/web/words/en/checks.json": check_words,
    **promise.documents(),
}
OURS: Final = ("docs/contract/schemas", PICTURES)  # nothing in them but what is written here


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    stale = []
    for name, write in DOCUMENTS.items():
        path, text = ROOT / name, write()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"{name}: written")
    for path in left_over():
        stale.append(str(path.relative_to(ROOT)))
        if not check:
            path.unlink()
            print(f"{stale[-1]}: removed")
    for each in promise.changed():
        print(f"the contract has changed since the last commit: {each}")
    if stale and check:
        print(f"stale: {', '.join(stale)}; run `make docs`")
        return 1
    return release() if "--release" in arguments else 0


def left_over() -> list[Path]:
    """Files of what is not declared any more."""
    found = (path for folder in OURS for path in sorted((ROOT / folder).glob("*")))
    return [path for path in found if str(path.relative_to(ROOT)) not in DOCUMENTS]


def release() -> int:
    """Seal the schemas; what breaks a former release needs a new `v` first."""
    breaks = promise.seal()
    for each in breaks:
        print(f"breaks what was released: {each}")
    if breaks:
        print("give the wire format a new `v` (edge/wire/contract/schemas.py: VERSION)")
        return 1
    print(f"{promise.RELEASED.relative_to(ROOT)}: sealed as {promise.release()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
