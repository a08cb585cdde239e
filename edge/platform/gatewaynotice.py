"""What a gateway says of itself beside its records: its status and its description (`meta`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class GatewayNotice:
    """One of them. `branch` is PREFIX/SITE/GATEWAY; `published_ms`: when the broker got it, in ms
    since 1970, or when it came here if the broker does not say."""

    kind: Literal["status", "meta"]
    gw: str
    branch: str
    published_ms: int
    data: Mapping[str, Any]
