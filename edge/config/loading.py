"""Read a site.toml: either a `Site`, or everything that is wrong with the file at once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.config import (
    calibrationchecks,
    positionchecks,
    sectionchecks,
    streetchecks,
    wiringchecks,
)
from edge.config.build import VERSION_KEY, SiteDraft, build_tables
from edge.config.keylines import key_lines
from edge.config.model import VERSION
from edge.config.problem import Problem, Problems, dotted_path, show_value
from edge.config.site import Site, line_of
from edge.config.spelling import named_error, spelling_hint
from edge.core.driver import DriverSpec
from edge.core.tomltext import TomlError, parse_toml
from edge.durable.readfile import NotAFileError, read_beginning

FILE_LIMIT: Final = 128 * 1024  # bytes; a site with 64 lanes and 100 devices has 20 kB
LINE_LIMIT: Final = 1000  # characters
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def load_site(path: Path | str, catalogue: Mapping[str, DriverSpec]) -> Site:
    """Read and check a whole file; `catalogue` says what each driver wants.

    Raises Problems, a ConfigError, with a list of all findings.
    """
    name = str(path)
    text = _text(Path(path), name)
    draft = SiteDraft(_parse(text, name), catalogue)
    lines = key_lines(text)
    _version(draft)
    tables: dict[str, Any] = {}
    if not draft.found:  # what another version means by its keys is not ours to judge
        tables = build_tables(draft)
        sectionchecks.check_sections(draft)
        wiringchecks.check_wiring(draft)
        streetchecks.check_street(draft)
        positionchecks.check_positions(draft)
        calibrationchecks.check_calibrations(draft)
    if draft.found:
        raise Problems(
            [
                Problem(name, line_of(lines, key), dotted_path(key), text)
                for key, text in draft.found
            ]
        )
    return Site(
        place=tables["site"],
        store=tables["store"],
        uplink=tables["uplink"],
        streams=tables["streams"],
        privacy=tables["privacy"],
        models=tables["models"],
        link=tables["link"],
        web=tables["web"],
        buses=wiringchecks.resolve_serial_settings(draft, tables["bus"]),
        devices=tables["device"],
        lanes=tables["lane"],
        ways=tables["approach"],
        bays=tables["bay"],
        calibrations=tables["calibration"],
        cells=tables["cell"],
        file=name,
        lines=lines,
    )


def _text(path: Path, name: str) -> str:
    """The file's text, as long as it can be a configuration."""
    try:
        data = read_beginning(path, FILE_LIMIT + 1)
    except NotAFileError as error:
        raise _whole_file_problem(name, "is not a file") from error
    except OSError as error:
        raise _whole_file_problem(name, f"cannot be read: {error.strerror}") from error
    if len(data) > FILE_LIMIT:
        raise _whole_file_problem(
            name, f"has more than {FILE_LIMIT // 1024} kB; this is no configuration"
        )
    try:
        text = data.decode("utf-8-sig")  # some editors put a mark before the first line
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Problems([Problem(name, line, "file", "this line is not UTF-8 text")]) from error
    for number, line_text in enumerate(text.split("\n"), 1):
        if len(line_text) > LINE_LIMIT:
            problem = f"this line has more than {LINE_LIMIT} characters; split it"
            raise Problems([Problem(name, number, "file", problem)])
    return text


def _parse(text: str, name: str) -> dict[str, object]:
    try:
        return parse_toml(text)
    except TomlError as error:
        found = _PLACE.search(str(error))
        line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
        column = f" (column {found[2]})" if found and found[2] else ""
        wrong = text.split("\n")[line - 1]
        hint = spelling_hint(wrong) or f"{named_error(_PLACE.sub('', str(error)))}{column}"
        problem = f"this is not TOML: {hint}; the rest is not checked"
        raise Problems([Problem(name, line, "file", problem)]) from error


def _version(draft: SiteDraft) -> None:
    version = draft.data.get(VERSION_KEY, VERSION)
    if type(version) is not int or version != VERSION:
        draft.report(
            (VERSION_KEY,),
            f"this Kerbstone reads files of version {VERSION}, and this one says "
            f"{show_value(version)}; "
            "update Kerbstone, or write the file for this one",
        )


def _whole_file_problem(name: str, text: str) -> Problems:
    return Problems([Problem(name, 0, "file", text)])
