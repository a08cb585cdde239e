"""Read a site.toml: either a `Site`, or everything that is wrong with the file at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.config import (
    calibrationchecks,
    positionchecks,
    sectionchecks,
    streetchecks,
    wiringchecks,
)
from edge.config.build import SiteDraft, build_tables
from edge.config.keylines import key_lines
from edge.config.model import VERSION
from edge.config.site import Site
from edge.config.tomlfile import read_toml_file
from edge.core.driver import DriverSpec


def load_site(path: Path | str, catalogue: Mapping[str, DriverSpec]) -> Site:
    """Read and check a whole file; `catalogue` says what each driver wants.

    Raises Problems, a ConfigError, with a list of all findings.
    """
    name = str(path)
    text, data = read_toml_file(Path(path), "configuration")
    draft = SiteDraft(data, catalogue)
    lines = key_lines(text)
    draft.check_version(VERSION)
    tables: dict[str, Any] = {}
    if not draft.found:  # what another version means by its keys is not ours to judge
        tables = build_tables(draft)
        sectionchecks.check_sections(draft)
        wiringchecks.check_wiring(draft)
        streetchecks.check_street(draft)
        positionchecks.check_positions(draft)
        calibrationchecks.check_calibrations(draft)
    if draft.found:
        raise draft.problems(name, lines)
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
