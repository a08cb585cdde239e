"""How a device, a lane or a contact is called on a screen: the one place where that is decided."""

from collections.abc import Mapping
from typing import Any, Final

from edge.core.printable import printable
from edge.report.status.textform import as_mapping

NAME_LIMIT: Final = 40  # characters


def shown_name(name: str, answer: Mapping[str, Any]) -> str:
    """Its name in the configuration, and behind it the name that people gave it, if there is one.

    `answer` may have `labels`: name -> what people call it, in any script.
    """
    label = as_mapping(answer.get("labels")).get(name)
    return printable(f"{name} ({label})" if label else name, NAME_LIMIT)
