"""The pages, in the order of the navigation. Each has a module `static/NAME.js`, and its words in
`words/LANGUAGE/NAME.json`; the words of the kit are `shell.json`.
"""

from typing import Final

LANGUAGES: Final = ("en", "zh")
PAGES: Final = (
    "overview", "lanes", "values", "devices", "queue", "flags", "doctor", "commissioning",
    "configuration", "log",
)  # fmt: skip
SHELL: Final = "shell"
SHARED: Final = ("terms", "issues", "checks", "findings")
"""Words of closed lists, for any page."""
