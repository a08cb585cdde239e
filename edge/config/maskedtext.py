"""A site file as people may see it, and back: its secrets give way to a mark, and return.

The page shows the file and sends it back changed. What stands in place of a secret then means the
secret that stands in the present file under the same key.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.config.keylines import KeyPath, value_spans
from edge.config.problem import SECRET_KEY, dotted_path
from edge.core import ConfigError
from edge.core.tomltext import TomlError, parse_toml

MARK: Final = "(kept)"  # in quotes; nobody has such a password
REMARK: Final = re.compile(
    r"""(?i)(?<![a-z0-9])(?:pass(?:word|wd|phrase)?|psk|secret|token|pin)["']?\s{0,8}="""
)
"""In a remark: a secret that somebody has put out of use with a `#`."""
LONG_STRINGS: Final = ('"""', "'''")  # of what is no TOML: a secret of several lines may be one
WITHHELD: Final = "# not shown: a secret stands where it cannot be masked\n"


def mask_secrets(text: str) -> str:
    """The text without secrets; of what is no TOML, without the values of lines that name one."""
    try:
        found = dict(_secrets(parse_toml(text)))
    except TomlError:
        if any(each in text for each in LONG_STRINGS):
            return WITHHELD
        return "\n".join(_without_value(line) for line in text.split("\n"))
    masked = _replaced(text, dict.fromkeys(found, MARK))
    masked = "\n".join(_quiet_remark(line) for line in masked.split("\n"))
    return WITHHELD if any(value and value in masked for value in found.values()) else masked


def unmask_secrets(text: str, present: str) -> str:
    """With the secrets of the present file in place of the marks. Raises ConfigError."""
    if MARK not in text:
        return text
    try:
        marked = [path for path, value in _secrets(parse_toml(text)) if value == MARK]
        known = dict(_secrets(parse_toml(present)))
    except TomlError as error:
        raise ConfigError(f"no TOML: {error}") from error
    for path in marked:
        if path not in known:
            raise ConfigError(
                f"{dotted_path(path)}: nothing is kept here: write the secret in place of {MARK}"
            )
    remarks = {_quiet_remark(line): line for line in present.split("\n") if _is_remark(line)}
    text = "\n".join(remarks.get(line, line) for line in text.split("\n"))
    return _replaced(text, {path: known[path] for path in marked})


def _replaced(text: str, values: Mapping[KeyPath, str]) -> str:
    """The text with other values at these paths; the last first, so that places stay."""
    spans = value_spans(text)
    for path in sorted(values, key=lambda each: spans.get(each, (0, 0)), reverse=True):
        if path in spans:
            begin, end = spans[path]
            text = f'{text[:begin]}"{_escaped(values[path])}"{text[end:]}'
    return text


def _secrets(data: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _secrets(value, (*path, key))
        elif isinstance(value, str) and SECRET_KEY.fullmatch(key):
            yield (*path, key), value


def _without_value(line: str) -> str:
    """From the first key on that may be a secret's: a table in braces has several in a line."""
    parts = line.split("=")
    for count, part in enumerate(parts[:-1], start=1):
        if SECRET_KEY.search(re.split(r"[.,{\s]", part.strip())[-1]):
            return f'{"=".join(parts[:count])}= "{MARK}"'
    return line


def _is_remark(line: str) -> bool:
    return line.lstrip().startswith("#")


def _quiet_remark(line: str) -> str:
    found = REMARK.search(line) if _is_remark(line) else None
    return line if found is None else f'{line[: found.end()]} "{MARK}"'


def _escaped(value: str) -> str:
    """Between quotes of a basic string."""
    return "".join(
        f"\\{each}" if each in '"\\' else each if each.isprintable() else f"\\U{ord(each):08x}"
        for each in value
    )
