"""What the meters of the kernel tests hold: a number per point, none of them 0."""

from typing import Final

from drivers.meters.register_map import load

MOST: Final = 9_000  # up to here a float of 32 bits holds quarters as they are


def _held(shift: float) -> dict[str, float]:
    points = [register.point for register in load("sdm630").registers]
    shares = [0.6 + shift + 0.3 * place / len(points) for place in range(len(points))]
    return {
        point.key: round(4 * (point.low + (min(point.high, MOST) - point.low) * share)) / 4
        for point, share in zip(points, shares, strict=True)
    }


METER: Final = _held(0.0)
USB_METER: Final = _held(0.01)
