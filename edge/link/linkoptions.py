"""The table `link` of the site's file: what this box's link has, and what its bytes cost."""

from pathlib import Path
from typing import Any

import msgspec

from edge.config.model.link import Link
from edge.config.problem import dotted_path, suggest
from edge.core import ConfigError
from edge.core.tomltext import TomlError, parse_toml
from edge.identity.network import Network


def load_link_options(path: Path) -> Link:
    """The table `link` of a TOML file; other tables are the daemon's. No file is all defaults."""
    try:
        table = parse_toml(path.read_text(encoding="utf-8")).get("link", {})
        _refuse_unknown_keys(path, table)
        return msgspec.convert(table, Link)
    except FileNotFoundError:
        return Link()
    except (OSError, UnicodeDecodeError, TomlError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}, table link: {error}; docs/link.md lists the keys") from error


def _refuse_unknown_keys(path: Path, table: Any) -> None:
    """With the sentence that `check` has for them: msgspec's own names no key that is right."""
    known = Link.__struct_fields__
    for key in table if isinstance(table, dict) else ():
        if key not in known:
            name = dotted_path(("link", key))
            raise ConfigError(f"{path}, table link: {name}: unknown key; {suggest(key, known)}")


def load_claimed_network(path: Path) -> Network | None:
    """The network of a claim that was verified when it was copied. None: it brings none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Network)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # a MsgspecError is a ValueError
        raise ConfigError(f"{path}: {error}; put a new claim on the boot partition") from error
