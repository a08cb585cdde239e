"""TOML that anybody may have written, a proposal or a claim: read within bounds of time and memory.

The time and memory of `tomllib` grow with the square of a key's parts, and it enters itself for
each bracket in a bracket: 60 kB of `a.a.a.` take 3.5 GB. So both are counted before it reads.
"""

import re
import tomllib
from typing import Any, Final

TEXT_LIMIT: Final = 256 << 10  # characters; a site file has at most 128 kB
KEY_PARTS: Final = 8  # of `a.b.c = 1`, or of a table's name; a site file has four at most
BRACKETS: Final = 8  # lists and tables in each other; a site file has three at most

# What is in a text or behind a # is neither a key nor a bracket. A text that does not end is an
# error, which tomllib names; it is eaten as far as it may reach, or each quote in it begins anew.
_TOKEN: Final = re.compile(
    r'''
      """ (?: \\. | (?!""") . )*+ (?: "{3,5} | \Z )
    | \'\'\' (?: (?!\'\'\') . )*+ (?: '{3,5} | \Z )
    | \#[^\n]*+ | [ \t]++
    | (?P<parts> (?:
          [A-Za-z0-9_-]++ | "(?: \\[^\n] | [^"\\\n] )*+"?+ | '[^'\n]*+'?+
          | [ \t]*+ \. [ \t]*+ )++ )
    | (?P<opens> [\[{] )
    | (?P<closes> [\]}] )
    ''',
    re.VERBOSE | re.DOTALL,
)
_PART: Final = re.compile(r'"(?:\\.|[^"\\\n])*+"?+|\'[^\'\n]*+\'?+|(?P<dot>\.)')


class TomlError(ValueError):
    """This is no TOML, or more than is read. The text says where, as that of `tomllib` does."""


def parse_toml(text: str) -> dict[str, Any]:
    """`tomllib.loads`, but for what no file of ours holds. Raises TomlError, and nothing else."""
    if len(text) > TEXT_LIMIT:
        raise TomlError(f"the text has more than {TEXT_LIMIT} characters")
    _check_depth(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(str(error)) from error
    except RecursionError as error:  # of a caller that is deep already
        raise TomlError("lists or tables are nested too deeply") from error
    except ValueError as error:  # Python converts no number of 5000 digits
        raise TomlError("a number has too many digits") from error


def _check_depth(text: str) -> None:
    depth = 0
    for found in _TOKEN.finditer(text):
        match found.lastgroup:
            case "opens":
                depth += 1
                if depth > BRACKETS:
                    why = f"lists or tables are nested deeper than {BRACKETS}"
                    raise TomlError(f"{why} {_place(text, found.start())}")
            case "closes":
                depth = max(0, depth - 1)
            case "parts" if found[0].count(".") >= KEY_PARTS:
                dots = sum(part["dot"] is not None for part in _PART.finditer(found[0]))
                if dots >= KEY_PARTS:
                    why = f"a key has more than {KEY_PARTS} parts"
                    raise TomlError(f"{why} {_place(text, found.start())}")


def _place(text: str, at: int) -> str:
    line_start = text.rfind("\n", 0, at) + 1
    return f"(at line {text.count(chr(10), 0, at) + 1}, column {at - line_start + 1})"
