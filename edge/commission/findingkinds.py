"""All that commissioning can find: verdict, sentence and remedy of each kind.

The names are stable: they stand in the acceptance sheet, and a page translates by them. A sentence
has places in braces for the figures of its finding; a translation uses the same places.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

FindingKind = Literal[
    # devices
    "device_answers", "device_silent", "answers_poorly", "no_value", "refused_values",
    "out_of_range", "unusual", "wrong_factor",
    "fahrenheit", "feeds_out", "takes_in", "phase_backwards", "phases_crossed", "no_load",
    "contradiction",
    "power_unit", "energy_unit", "energy_agrees", "differs_from", "voltage_off", "frequency_off",
    "rotation_left",
    # lanes
    "never_driven", "nothing_moved", "drive_seen", "drive_seen_single", "order_seen",
    "which_was_yours", "swapped", "swapped_by_others", "other_lane", "crossed", "loop_silent",
    "inverted", "polarity_unclear", "speed_untold", "spacing_wrong", "spacing_in_feet",
    "length_odd", "uneven", "splashover", "disagrees", "edges_lost", "bounces", "unclear_order",
    # contacts, pulses, bays, signals
    "operate_it", "contact_still", "contact_moved", "pulses_seen", "pulses_none", "pulses_odd",
    # what the box cannot measure
    "loop_unmeasured", "loop_measured", "loop_outside",
    # the wires, and the city
    "not_scanned", "scan_done", "unmatched", "named_only", "dismissed", "not_answered",
    "record_confirmed", "record_at_broker", "record_old", "record_waits",
    # more than there is room for
    "steps_left_out",
]  # fmt: skip
VerdictWord = Literal["passed", "unproven", "doubtful", "failed"]


@dataclass(frozen=True, slots=True)
class FindingText:
    """Of one kind. `remedy` is empty where there is nothing to do."""

    verdict: VerdictWord
    text: str
    remedy: str = ""


FINDING_KINDS: Final[Mapping[FindingKind, FindingText]] = {
    "device_answers": FindingText("passed", "{device} answers: {values}."),
    "device_silent": FindingText(
        "failed", "{device} does not answer: {why}.",
        "Check supply, wires and terminals, then address, baud rate and parity.",
    ),
    "answers_poorly": FindingText(
        "doubtful", "{device} answered in full {count} of {asked} times.",
        "Check the cable, its ends and its terminating resistors; `kerbstone live` counts errors.",
    ),
    "no_value": FindingText(
        "failed", "{points} of {device} have no value ({why}).",
        "Read `kerbstone read {device}`. Leave out points that this model does not have "
        "(`points = [...]`).",
    ),
    "refused_values": FindingText(
        "failed", "{points} of {device} had values that cannot be ({why}), and were refused.",
        "A unit, a factor or a register is wrong: compare the meter's table, and the options of "
        "the device, with its manual.",
    ),
    "out_of_range": FindingText(
        "failed", "{point} is {value} {unit}; this device measures {low} to {high}.",
        "Check the sensor and its connection, then the correction in the site file "
        "(`calibration`).",
    ),
    "unusual": FindingText(
        "doubtful", "{point} is {value} {unit}; usual here is {low} to {high}.",
        "Compare it with a hand-held instrument.",
    ),
    "wrong_factor": FindingText(
        "failed",
        "{point} is {value} {unit}, which cannot be; {times} makes it {right} {unit}. It looks "
        "like {mistake}.",
        "Correct the unit: `gain` of a `calibration` in the site file, or `scale` in the meter's "
        "table.",
    ),
    "fahrenheit": FindingText(
        "failed", "{point} is {value} {unit}, which cannot be; it looks like {right} °C told in "
        "degrees Fahrenheit.",
        "Set the device to degrees Celsius, or remove the conversion from its `calibration`.",
    ),
    "feeds_out": FindingText(
        "failed", "{device} counts {value} W out of the cabinet, but nothing here generates.",
        "Turn the current transformers, or the meter's two sides; if it must stay mounted so, set "
        "`reversed = true` (remove it if it is set). If something here does generate, fill in the "
        "field `direction` of this step: export or either.",
    ),
    "takes_in": FindingText(
        "failed", "{device} counts {value} W into the cabinet, where export was expected.",
        "Turn the current transformers, or change `reversed` in the site file.",
    ),
    "phase_backwards": FindingText(
        "failed", "{phase} of {device} counts {value} W against the other phases.",
        "Turn the current transformer of this phase.",
    ),
    "phases_crossed": FindingText(
        "failed", "The power factors of {device} are {l1} in L1, {l2} in L2 and {l3} in L3: "
        "currents are measured with the voltage of another phase.",
        "Check which current transformer belongs to which phase, and put each to the voltage of "
        "its own. Turn none round before.",
    ),
    "no_load": FindingText(
        "unproven", "{device} measures {value} W: too little to show which way it counts.",
        "Switch on a load of more than {least} W and test again.",
    ),
    "contradiction": FindingText(
        "failed", "{points} of {device} contradict each other ({fault}): {values}.",
        "Next: {look}.",
    ),
    "power_unit": FindingText(
        "failed", "{device} tells {power} W, but voltage times current is {product} VA: a factor "
        "of {factor}.",
        "The unit of power (W or kW), or the ratio of the current transformers, is wrong in the "
        "meter or in its table.",
    ),
    "energy_unit": FindingText(
        "failed", "{point} grew by {grown} kWh where its power makes {expected} kWh: a factor of "
        "{factor}.",
        "The unit of energy (Wh or kWh), or the ratio of the current transformers, is wrong in the "
        "meter or in its table.",
    ),
    "energy_agrees": FindingText(
        "passed", "{point} grew by {grown} kWh; its power makes {expected} kWh.",
    ),
    "differs_from": FindingText(
        "doubtful", "{point} is {value} {unit}, but {other} says {other_value} {unit}.",
        "Compare both with a hand-held instrument; look for draught, sun, or a heater nearby.",
    ),
    "voltage_off": FindingText(
        "doubtful", "{point} is {value} V, more than {percent} % from {nominal} V.",
        "Measure the voltage at the meter's terminals; check the neutral.",
    ),
    "rotation_left": FindingText(
        "doubtful", "{device} sees the voltage of L2 at {l2} deg and of L3 at {l3} deg: the field "
        "turns left.",
        "Exchange two phases at the meter if motors or the utility need a right field.",
    ),
    "frequency_off": FindingText(
        "failed", "{point} is {value} Hz; a grid has 50 or 60 Hz.",
        "Check the meter's table: the register or its factor is wrong.",
    ),
    "never_driven": FindingText(
        "unproven", "Nobody has driven over {lane} for this test: its loops are unproven.",
        "Drive over it: `kerbstone commission drive {lane}`.",
    ),
    "nothing_moved": FindingText(
        "failed", "No loop of {lane} moved in the {seconds} s of the drive.",
        "Check that the loop card has power and its output is wired to the lines that the site "
        "file names. Then drive again.",
    ),
    "drive_seen": FindingText(
        "passed", "{lane} saw the drive on {first}, then on {second}: {speed} km/h, {length} m.",
    ),
    "drive_seen_single": FindingText("passed", "{lane} saw the drive on {first} for {on} s."),
    "order_seen": FindingText(
        "passed", "{count} vehicles crossed {first}, then {second}: the pair is in order.",
    ),
    "which_was_yours": FindingText(
        "unproven", "{count} vehicles were seen, and nobody has said which of them was the drive.",
        "Choose it from the list (`kerbstone commission mine NUMBER`), or drive again while the "
        "road is empty.",
    ),
    "swapped": FindingText(
        "failed", "The drive reached {second} before {first}: the pair of {lane} is swapped.",
        "Exchange `lead` and `trail` of the lane in the site file, or the two wires. If you drove "
        "against the direction of traffic, drive again.",
    ),
    "swapped_by_others": FindingText(
        "failed",
        "{count} vehicles reached {second} before {first}: the pair of {lane} is swapped.",
        "Exchange `lead` and `trail` of the lane in the site file, or the two wires.",
    ),
    "other_lane": FindingText(
        "failed", "The drive over {lane} was seen by {other}.",
        "The loops are wired to another lane: exchange the lines of {lane} and {other} in the site "
        "file, or the wires.",
    ),
    "crossed": FindingText(
        "failed", "The drive over {lane} was seen by {first}, then by {second}.",
        "Loops of two lanes are crossed: exchange the lines of {wrong} and {right} in the site "
        "file, or the wires.",
    ),
    "loop_silent": FindingText(
        "failed", "{loop} did not move while {seen} saw the drive.",
        "Check this loop, its feeder and its channel of the card. Then drive again.",
    ),
    "inverted": FindingText(
        "failed",
        "{loop} opens while a vehicle is there and is closed for {percent} % of the time.",
        "Change `active` of the lane (high or low), or use the other contact of the card's relay. "
        "If a queue stood on the loop, drive again.",
    ),
    "polarity_unclear": FindingText(
        "doubtful", "{loop} was occupied for {percent} % of the time: nobody can tell whether it "
        "is inverted.",
        "Drive again when no queue stands on it.",
    ),
    "speed_untold": FindingText(
        "unproven", "{lane} measured {speed} km/h with spacing_m = {spacing}, and nobody has said "
        "how fast the drive was.",
        "Drive again and give the speed: `kerbstone commission drive {lane} --speed 30`.",
    ),
    "spacing_wrong": FindingText(
        "failed", "{lane} measured {speed} km/h, but the speedometer showed {told} km/h.",
        "Measure from the front edge of the first loop to the front edge of the second: by this "
        "drive spacing_m is about {right}, not {spacing}.",
    ),
    "spacing_in_feet": FindingText(
        "failed", "{lane} measured {speed} km/h, but the speedometer showed {told} km/h: "
        "spacing_m = {spacing} looks like feet.",
        "spacing_m is in metres: write {right}.",
    ),
    "length_odd": FindingText(
        "doubtful", "{lane} measured a length of {length} m; the vehicle has {low} to {high} m.",
        "Check `loop_m` (the length of a loop along the lane) and `spacing_m`.",
    ),
    "uneven": FindingText(
        "doubtful", "The two loops of {lane} were occupied for {lead} s and {trail} s by the same "
        "vehicle.",
        "Drive at a steady speed. If it comes again, set both channels of the card to the same "
        "sensitivity.",
    ),
    "splashover": FindingText(
        "doubtful", "{other} moved at the same time as {lane}.",
        "If no vehicle was there, lower the sensitivity of that loop, or use another frequency: it "
        "feels the lane beside it.",
    ),
    "disagrees": FindingText(
        "doubtful", "This drive says {now}, the one before said {before}.",
        "Drive once more: two that agree count.",
    ),
    "edges_lost": FindingText(
        "doubtful", "{count} changes of {loop} were lost in the drive.", "Drive again.",
    ),
    "bounces": FindingText(
        "doubtful", "{loop} bounced {count} times in the drive.",
        "Check the relay of the card and its terminals.",
    ),
    "unclear_order": FindingText(
        "doubtful", "The traffic on {lane} was too dense to tell the order of its loops.",
        "Drive again while fewer vehicles pass.",
    ),
    "operate_it": FindingText(
        "unproven", "{name} is {level} now.", "Operate it once ({how}), then test again.",
    ),
    "contact_still": FindingText(
        "failed", "{name} has not moved for {seconds} s.",
        "Operate it once more. Then check the contact, its wires and `line` in the site file.",
    ),
    "contact_moved": FindingText(
        "passed", "{name} went on {ons} times and off {offs} times, and is {level} now.",
    ),
    "pulses_seen": FindingText(
        "passed", "{name}: {count} pulses in {seconds} s; at {per_kwh} a kWh that is {watts} W.",
    ),
    "pulses_none": FindingText(
        "unproven", "{name}: {count} pulses in {seconds} s.",
        "Two are needed. Wait for them, or switch on a load, then test again.",
    ),
    "pulses_odd": FindingText(
        "doubtful", "{name}: {count} pulses in {seconds} s would be {watts} W.",
        "Compare `imp_per_kwh` with the figure on the meter.",
    ),
    "loop_unmeasured": FindingText(
        "unproven", "{missing} of {loop} are not filled in: the box cannot measure them.",
        "Measure at the feeder and fill them in: `kerbstone commission field loop:{loop} "
        "inductance_uh 120`.",
    ),
    "loop_measured": FindingText("passed", "{loop}: {values}."),
    "loop_outside": FindingText(
        "failed", "{what} of {loop} is {value} {unit}; it must be {limit}.", "{look}",
    ),
    "not_scanned": FindingText(
        "unproven", "The wires were not searched for devices that the site file does not name.",
        "Search them: `sudo kerbstone commission scan`.",
    ),
    "scan_done": FindingText(
        "passed", "{places} searched: {count} answered; the site file names {matched} of them.",
    ),
    "unmatched": FindingText(
        "doubtful", "{what} at {place} answered, and the site file does not name it.",
        "Name it (`kerbstone commission name {id} NAME`) and put its table into the site file, or "
        "dismiss it (`kerbstone commission dismiss {id}`).",
    ),
    "named_only": FindingText(
        "unproven", "{what} at {place} was named {name}; the site file does not have it.",
        "Put its table into the site file (`kerbstone commission name {id} {name}` prints it), "
        "then search again.",
    ),
    "dismissed": FindingText(
        "passed", "{what} at {place} answered, and is not to be read: it was dismissed.",
    ),
    "not_answered": FindingText(
        "doubtful", "{device} did not answer the search at {place}.",
        "Check its address and wires.",
    ),
    "record_confirmed": FindingText(
        "passed", "The city has confirmed a record {age} s ago (by receipt of its store).",
    ),
    "record_at_broker": FindingText(
        "passed", "The broker has confirmed a record {age} s ago. Whether the city stores it is "
        "not told with uplink.confirm = \"broker\".",
    ),
    "record_old": FindingText(
        "unproven", "The last record was confirmed {age} s ago ({link}).",
        "One is due every {period} s. `kerbstone doctor` looks at the way to the city; then test "
        "again.",
    ),
    "record_waits": FindingText(
        "unproven", "No record has been confirmed since the daemon started ({link}).",
        "Wait for the end of a window ({period} s) and test again. `kerbstone doctor` looks at the "
        "way to the city.",
    ),
    "steps_left_out": FindingText(
        "unproven", "{count} steps of this site have no room here, from {first} to {last}.",
        "Test these by hand, and write it into the note. Or give this box fewer devices and lanes.",
    ),
}  # fmt: skip
assert set(FINDING_KINDS) == set(get_args(FindingKind)), "each kind has its row"
