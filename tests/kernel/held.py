"""What the meters of the kernel tests hold: a number per point, none of them 0, and such that no
value contradicts its neighbours. Floats of 32 bits hold all of them as they are."""

from typing import Final

from drivers.meters.register_map import load_register_map

PHASES: Final = ("l1", "l2", "l3")


def _held(shift: float) -> dict[str, float]:
    """Three phases at a power factor of .75; `shift` in volts tells one meter from another."""
    found: dict[str, float] = {}
    for number, phase in enumerate(PHASES):
        voltage, current = 228.0 + 2 * number + shift, 10.0 + 4 * number
        energies = {"import": 1000.5 + 500 * number + shift, "export": 20.25 + number}
        found |= {
            f"voltage_{phase}": voltage,
            f"current_{phase}": current,
            f"power_{phase}": 0.75 * voltage * current,
            f"apparent_power_{phase}": voltage * current,
            f"reactive_power_{phase}": 0.625 * voltage * current,
            f"power_factor_{phase}": 0.75,
            f"phase_angle_{phase}": 41.25 + number,
            f"voltage_thd_{phase}": 2.5 + number,
        }
        for stem, share in (("energy", 1.0), ("reactive_energy", 0.5)):
            found |= {f"{stem}_{way}_{phase}": share * much for way, much in energies.items()}
            found[f"{stem}_total_{phase}"] = share * sum(energies.values())
    sums = [
        *("power", "apparent_power", "reactive_power"),
        *(f"{stem}_{way}" for stem in ("energy", "reactive_energy")
          for way in ("import", "export", "total")),
    ]  # fmt: skip
    found |= {key: sum(found[f"{key}_{phase}"] for phase in PHASES) for key in sums}
    found |= {
        "voltage_avg": 230.0 + shift,
        "current_avg": 14.0,
        "current_sum": 42.0,
        "current_n": 7.0,
        "power_factor": 0.75,
        "phase_angle": 42.25,
        "frequency": 50.0,
        "apparent_energy": 6000.75 + shift,
        "voltage_l12": 396.5 + shift,
        "voltage_l23": 400.0 + shift,
        "voltage_l31": 398.25 + shift,
        "voltage_ll_avg": 398.25 + shift,
    }
    return {
        register.point.key: found[register.point.key]
        for register in load_register_map("sdm630").registers
    }


METER: Final = _held(0.0)
USB_METER: Final = _held(1.0)
