"""The product file: which gateway is under test, and what its maker says of it."""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge.core import TOPIC_PREFIX, ConfigError
from edge.core.tomltext import parse_toml
from edge.wire import Topics, WireError

LARGEST: Final = 64 << 10  # bytes of a product file
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Ability = Literal["last", "resend", "signed"]


class Product(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One product at one broker. docs/conform.md has the keys."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    version: Annotated[str, Meta(min_length=1, max_length=80)]
    site: str
    gateway: str
    prefix: str = TOPIC_PREFIX
    contract: Annotated[int, Meta(ge=1)] = 1
    mqtt: Literal["5", "3.1.1"] = "5"
    encoding: Literal["json", "msgpack"] = "msgpack"
    confirm: Literal["platform", "broker"] = "platform"
    receipt_s: Seconds = 120.0
    period_s: Seconds = 60.0
    return_s: Seconds = 60.0
    client_id: str = ""
    can: frozenset[Ability] = frozenset({"resend"})
    expendable: bool = False

    @property
    def topics(self) -> Topics:
        return Topics(self.prefix, self.site, self.gateway)


def read_product(path: Path) -> Product:
    """Raises ConfigError, with the key and what is wrong with it."""
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: larger than {LARGEST} bytes")
        found = msgspec.convert(parse_toml(path.read_text(encoding="utf-8")), Product)
        _ = found.topics
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except msgspec.ValidationError as error:
        keys = ", ".join(Product.__struct_fields__)
        raise ConfigError(f"{path}: {error}; the keys of a product file are {keys}") from None
    except (ValueError, WireError) as error:  # TOML's own are ValueErrors
        raise ConfigError(f"{path}: {error}") from None
    return found
