"""The table `link` of the site's file: what this box's link has, and what its bytes cost."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge.core import ConfigError
from edge.identity.network import Network
from edge.link.power import PORT

MB: Final = 1_000_000  # as a contract counts it
USUAL: Final = {  # interfaces of a kind, by the kernel's names
    "ethernet": ("eth*", "en*"),
    "wifi": ("wl*",),
    "cellular": ("wwan*", "ppp*", "usb*"),
}

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.*?-]{1,15}\Z")]
Line = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,32}\Z")]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All have a default: without a table nothing costs and no modem is switched."""

    budget_mb: Annotated[int, Meta(ge=0, le=10_000_000)] = 0  # a month, in and out; 0 is none
    day: Annotated[int, Meta(ge=1, le=28)] = 1  # of the month, when the contract begins anew
    interfaces: tuple[Name, ...] = ()  # () are those that are usual for the kind of the network
    usb: Annotated[str, Meta(pattern=PORT.pattern)] | None = None  # port of the modem, as "1-1.2"
    supply: Line | None = None  # GPIO line that switches the modem's supply
    cut: Literal["high", "low"] = "high"  # the level of that line that cuts the supply
    lamp: Line | None = None  # GPIO line of the status lamp
    chip: Annotated[str, Meta(pattern=r"\A(/dev/|sim:)")] = "/dev/gpiochip0"
    reboot: bool = True

    @property
    def budget(self) -> int:
        return self.budget_mb * MB

    def names(self, kind: str) -> tuple[str, ...]:
        return self.interfaces or USUAL[kind]


def load(path: Path) -> Options:
    """The table `link` of a TOML file; other tables are the daemon's. No file is all defaults."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(found.get("link", {}), Options)
    except FileNotFoundError:
        return Options()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}, table link: {error}; docs/link.md lists the keys") from error


def network(path: Path) -> Network | None:
    """The network of a claim that was verified when it was copied. None: it brings none."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("network")
        return None if found is None else msgspec.convert(found, Network)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}, table network: {error}; write the claim again") from error
