"""GPIO lines: edges in batches with the kernel's time and number, and pins for gpiozero.

Source: Linux GPIO character device, version 2 (include/uapi/linux/gpio.h), through libgpiod 2.
"""

from drivers.buses.gpio.chip import GpioChip, LineRequest, open_chip
from drivers.buses.gpio.factory import GpiodFactory
from drivers.buses.gpio.listener import GpioListener, LineLimits, LineState

__all__ = [
    "GpioChip",
    "GpioListener",
    "GpiodFactory",
    "LineLimits",
    "LineRequest",
    "LineState",
    "open_chip",
]
