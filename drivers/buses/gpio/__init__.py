"""GPIO lines: edges in batches with the kernel's time and number, and pins for gpiozero.

Source: Linux GPIO character device, version 2 (include/uapi/linux/gpio.h), through libgpiod 2.
"""

from drivers.buses.gpio.bus import GpioBus
from drivers.buses.gpio.chip import Chip, Request, open_chip
from drivers.buses.gpio.factory import GpiodFactory
from drivers.buses.gpio.line import Limits, LineState

__all__ = ["Chip", "GpioBus", "GpiodFactory", "Limits", "LineState", "Request", "open_chip"]
