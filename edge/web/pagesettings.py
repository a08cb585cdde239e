"""What the site file says of the page: who may look without a login, and whether settings are open.

Only `[web]`, the names and the two folders of `[store]` are read here, not the whole file: the
model of the configuration takes more memory than the page itself. What is wrong or cannot be read
counts as its strict value; `kerbstone check` says what is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from edge.core.printable import printable
from edge.core.tomltext import TomlError, parse_toml
from edge.durable.readfile import read_file

SITE_LIMIT: Final = 256 << 10
RUN_DIR: Final = "/run/kerbstone"  # as store.run_dir is by itself
STORE_DIR: Final = "/var/lib/kerbstone"  # as store.dir is
NAMES: Final = 8  # of web.names that count
WithoutLogin = Literal["nothing", "read"]


@dataclass(frozen=True, slots=True)
class PageSettings:
    """`names`: by which other names than an address and *.local a browser may call this box."""

    without_login: WithoutLogin = "nothing"
    settings: bool = True
    names: tuple[str, ...] = ()
    run_dir: Path = Path(RUN_DIR)
    gateway: str = "kerbstone"
    problem: str = ""  # why nothing is known of them
    store_dir: Path = Path(STORE_DIR)


class SettingsFile:
    """The site file's part, read again when the file has changed."""

    def __init__(self, file: Path, run_dir: Path | None = None) -> None:
        self._file, self._run_dir = file, run_dir
        self._seen: tuple[int, int, int] | None = None
        self._settings = PageSettings()

    def read(self) -> PageSettings:
        """What counts now. A box without a site file is open to whoever commissions it."""
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            self._seen = None
            return self._with_dir(PageSettings())
        except OSError as error:
            return self._with_dir(_strict(f"{self._file}: {error.strerror}"))
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._settings, self._seen = self._parse(), seen
        return self._settings

    def _parse(self) -> PageSettings:
        try:
            data = read_file(self._file, SITE_LIMIT)
            table = parse_toml((data or b"").decode())
        except OSError as error:
            return self._with_dir(_strict(f"{self._file}: {error.strerror or error}"))
        except (UnicodeDecodeError, TomlError) as error:
            return self._with_dir(_strict(f"{self._file}: {error}"))
        return self._with_dir(page_settings(table))

    def _with_dir(self, found: PageSettings) -> PageSettings:
        if self._run_dir is None:
            return found
        return PageSettings(
            found.without_login, found.settings, found.names, self._run_dir, found.gateway,
            found.problem, found.store_dir,
        )  # fmt: skip


def page_settings(table: Mapping[str, Any]) -> PageSettings:
    """Of a site file that was read; each wrong value is the strict one."""
    web, store, site = (_table(table, name) for name in ("web", "store", "site"))
    names, gateway = web.get("names", []), site.get("gateway")
    return PageSettings(
        "read" if web.get("without_login", "nothing") == "read" else "nothing",
        web.get("settings", True) is True,
        tuple(each.lower() for each in names[:NAMES] if isinstance(each, str))
        if isinstance(names, list)
        else (),
        _folder(store, "run_dir", RUN_DIR),
        printable(gateway, 64) if isinstance(gateway, str) and gateway else "kerbstone",
        store_dir=_folder(store, "dir", STORE_DIR),
    )


def _folder(store: Mapping[str, Any], key: str, otherwise: str) -> Path:
    found = store.get(key)
    return Path(found if isinstance(found, str) and found.startswith("/") else otherwise)


def _strict(why: str) -> PageSettings:
    return PageSettings(settings=False, problem=why)


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = table.get(name)
    return found if isinstance(found, dict) else {}
