"""A device of which only some points are wanted: the rest is left out before anybody sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from edge.core import Condition, ConfigError, Keeping, Point, Polled, Sample, Telling


def chosen(device: Polled, keys: Sequence[str]) -> Polled:
    """The device with these of its points, in its own order. Raises ConfigError for a stranger."""
    known = [point.key for point in device.points]
    for key in keys:
        if key not in known:
            hint = get_close_matches(key, known, 1)
            meant = f"did you mean {hint[0]!r}?" if hint else f"there are {', '.join(known)}"
            raise ConfigError(f"it has no point {key!r}; {meant}")
    return _Some(device, tuple(place for place, key in enumerate(known) if key in keys))


@dataclass(slots=True)
class _Some:
    """Passes everything on; `places` are those of the points that are wanted."""

    device: Polled
    places: tuple[int, ...]
    points: Sequence[Point] = field(init=False)

    def __post_init__(self) -> None:
        self.points = tuple(self.device.points[place] for place in self.places)

    async def open(self) -> None:
        await self.device.open()

    async def read(self) -> tuple[Sample, ...]:
        samples = await self.device.read()
        return tuple(samples[place] for place in self.places)

    async def close(self) -> None:
        await self.device.close()

    @property
    def identity(self) -> str:
        return self.device.identity if isinstance(self.device, Telling) else ""

    @property
    def health(self) -> Mapping[Condition, str]:
        return self.device.health if isinstance(self.device, Telling) else {}

    def kept(self) -> bytes:
        return self.device.kept() if isinstance(self.device, Keeping) else b""

    def restore(self, kept: bytes, age_s: float) -> None:
        if isinstance(self.device, Keeping):
            self.device.restore(kept, age_s)
