"""The captured examples of docs/contract/examples; who misses one is told where it is made."""

from typing import Any, Final

from docs import promise

HOW: Final = (
    "let a scene in tests/contract/scenes.py send one (`others`, if it needs no street), run"
    " `PYTHONPATH=. .venv/bin/python -m tests.contract.capture`, then `make docs`"
)
EXAMPLES: Final = promise.examples()


def examples_of(name: str) -> list[dict[str, Any]]:
    """Of this message."""
    assert EXAMPLES.get(name), f"{name} has no example in docs/contract/examples: {HOW}"
    return EXAMPLES[name]
