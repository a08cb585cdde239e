"""Questions to a meter: its voltage, its frequency, and a block of registers."""

VOLTS, HERTZ = (1, 4, 0, 2), (1, 4, 0x46, 2)
BLOCK = (1, 4, 0, 4)
