"""Write the documents that are made from code; with --check say which of them are stale.

Run by `make docs` and `make check`, from the repository's root.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import drivers
from docs.catalogue import catalogue
from edge.config.document import reference

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final[dict[str, Callable[[], str]]] = {
    "docs/configuration.md": lambda: reference(drivers.catalogue()),
    "drivers/README.md": catalogue,
}


def main(arguments: list[str]) -> int:
    stale = []
    for name, write in DOCUMENTS.items():
        path, text = ROOT / name, write()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
            print(f"{name}: written")
    if stale and "--check" in arguments:
        print(f"stale: {', '.join(stale)}; run `make docs`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
