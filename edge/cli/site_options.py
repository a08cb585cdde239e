"""The configuration that a verb works on."""

import argparse
import os
from pathlib import Path
from typing import Final

import drivers
from edge.config import Site, Store, load_site
from edge.control.protocol import SOCKET_NAME
from edge.core import ConfigError
from edge.core.boxfiles import OWN_SITE_FILE, SIGNED_SITE_FILE, find_site_file
from edge.identity.runfiles import read_box_names
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


def is_closed(file: Path) -> bool:
    """It is the site file of this box, which may be there, and this user may not read it: on an
    enrolled box only root. Of another file nobody here can say anything."""
    if file != find_site_file():
        return False
    try:
        file.open("rb").close()
    except FileNotFoundError:
        return _may_be_signed()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def is_signed_box(file: Path) -> bool:
    """The configuration of this box comes from the operator, and no other one is here."""
    if file == OWN_SITE_FILE:
        return not OWN_SITE_FILE.exists() and read_box_names() is not None
    return file == find_site_file()


def _may_be_signed() -> bool:
    """Enrolment keeps its site file in a folder of root's: who may not look there cannot tell."""
    try:
        SIGNED_SITE_FILE.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def run_dir_without_site(file: Path) -> Path | None:
    """Where a daemon can be asked by somebody to whom the site file is closed: a technician in the
    group kerbstone, on an enrolled box. The daemon is where it is on every box. None: the file can
    be read, or no daemon runs there.
    """
    if file != find_site_file() or os.access(file, os.R_OK):
        return None
    folder = Path(Store().run_dir)
    return folder if (folder / SOCKET_NAME).exists() else None
