"""What a device may say of itself beside its values: a closed list, as the reasons are."""

from enum import StrEnum


class Condition(StrEnum):
    """What a technician wants to know of a device: one word, and a sentence goes with it."""

    FAN = "fan"  # stands still, too slow or too fast
    LASER = "laser"  # its current is out of range, or it is worn
    SENSOR = "sensor"  # a measuring part has failed or does not answer its module
    HEATER = "heater"  # it does not reach its temperature, or has failed
    CLEANING = "cleaning"  # the fan blows itself clean: no values meanwhile
    SELF_TEST = "self_test"  # running or failed; the sentence says which
    WARMUP = "warmup"  # just started: its values settle
    SLEEPING = "sleeping"  # it does not measure: no values meanwhile
    SETTINGS = "settings"  # not as this program needs them, or lost
    BATTERY = "battery"  # low or empty
    POWER = "power"  # supply too low, a phase is missing
    OVERLOAD = "overload"  # current or voltage above what it can measure
    PHASES = "phases"  # their order is wrong
    CLOCK = "clock"  # its own clock is wrong or not set
    MEMORY = "memory"  # what it stores is damaged or lost
    TAMPER = "tamper"  # cover opened, magnet near
    LOOP = "loop"  # open, shorted, or its inductance has jumped
    DEVICE = "device"  # any other fault that it reports of itself
