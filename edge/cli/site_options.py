"""The configuration that a verb works on."""

import argparse
from pathlib import Path
from typing import Final

import drivers
from edge.config import Site, load_site
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.terminal import echo

CONFIG_HELP: Final = "site file (default: that of this gateway)"


def site_options(parser: argparse.ArgumentParser) -> None:
    """Of a verb that asks one gateway: its configuration, and an answer for programs."""
    parser.add_argument(
        "--config", type=Path, default=find_site_file(), metavar="FILE", help=CONFIG_HELP
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def load_site_or_report(file: Path) -> Site | None:
    """The site; or None, when everything that is wrong with the file has been said (exit 2)."""
    try:
        return load_site(file, drivers.catalogue())
    except ConfigError as error:
        echo(*error.lines, err=True)
        return None
