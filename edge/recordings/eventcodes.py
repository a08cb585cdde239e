"""Event codes of high-resolution controller logs that speak of detectors and of greens.

Source: Indiana Traffic Signal Hi Resolution Data Logger Enumerations (Purdue University, 2012; the
later editions keep these codes). The parameter is the channel of the detector (81 to 88), or the
phase (1 to 12).
"""

from typing import Final

GREEN_BEGINS: Final = 1
GREEN_ENDS: Final = (7, 8)  # green termination, begin of yellow
DETECTOR_OFF: Final = 81
DETECTOR_ON: Final = 82
CARD_SAYS: Final = {
    83: "restored",
    84: "fault_other",
    85: "watchdog",
    86: "open_loop",
    87: "shorted_loop",
    88: "excessive_change",
}
"""What only the card can know, in the words of NTCIP 1202 (vehicleDetectorReportedAlarms)."""
OF_DETECTORS: Final = frozenset((DETECTOR_OFF, DETECTOR_ON, *CARD_SAYS))
OF_PHASES: Final = frozenset((GREEN_BEGINS, *GREEN_ENDS))
CODE_LIMIT: Final = 4096  # the enumerations end at 512; makers add some of their own
CHANNELS: Final = 255  # that a controller has at most
PHASES: Final = 40

# Of ours, between the reader and the writer; no controller logs them.
LOG_GOES_ON: Final = 0  # something was logged that speaks neither of a detector nor of a green
UNWATCHED: Final = CODE_LIMIT + 1  # from here on nobody watched the detector
FOUND_FREE: Final = CODE_LIMIT + 2  # watching begins, and it is free
