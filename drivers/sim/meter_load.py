"""What a simulated meter measures: a load whose figures fit together, and energy that adds up.

P = U * I * power factor in each phase, S squared = P squared + Q squared, and the energies are
the powers summed up over the simulator's clock.
"""

import math
import time
from collections.abc import Callable
from typing import Final

STEP_S: Final = 1.0  # the load is taken as constant for so long
DEMAND_S: Final = 60.0  # the period over which demand is averaged
PHASES: Final = ("l1", "l2", "l3")
TOTALS: Final = (
    "energy_import",
    "energy_export",
    "reactive_energy_import",
    "reactive_energy_export",
)


def cabinet_currents(t_s: float) -> tuple[float, float, float]:
    """Currents (A) of a street cabinet: lamps and heating that come and go within a minute."""
    l1, l2, l3 = (4.0 + 2.0 * math.sin(math.tau * (t_s / 60 + k / 3)) for k in range(3))
    return l1, l2, l3


class MeterLoad:
    """A load behind a meter of one or three phases.

    `amps` gives the currents at a time (s since the start), negative ones flow out. `values()`
    brings everything up to the clock's time and tells all points that meters with tables have.
    """

    def __init__(
        self,
        phases: int = 3,
        amps: Callable[[float], tuple[float, ...]] = cabinet_currents,
        volts: tuple[float, float, float] = (230.4, 229.1, 231.7),
        power_factor: float = 0.95,
        hz: float = 50.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.phases, self.amps, self.volts = phases, amps, volts
        self.power_factor, self.hz = power_factor, hz
        self._clock, self._start_s = clock, clock()
        self._at_s = 0.0
        self.totals = {name: [0.0] * phases for name in TOTALS}  # kWh, kvarh
        self.apparent_kvah = 0.0
        self._demand_end_s, self._demand_ws = DEMAND_S, 0.0
        self._demand_w = self._demand_max_w = 0.0

    def reset(self, kwh: float = 0.0) -> None:
        """All registers begin again, as after a reset or with another meter in its place."""
        for values in self.totals.values():
            values[:] = [0.0] * self.phases
        self.totals["energy_import"][:] = [kwh / self.phases] * self.phases
        self.apparent_kvah = 0.0

    def values(self) -> dict[str, float]:
        """Every point at this moment, in the units of the meter's registers."""
        now_s = self._clock() - self._start_s
        while now_s - self._at_s > STEP_S:
            self._advance(STEP_S)
        self._advance(now_s - self._at_s)
        return self._figures()

    def _advance(self, seconds: float) -> None:
        hours = seconds / 3600
        total_w = total_va = 0.0
        for k, (volts, amps) in enumerate(self._phases(self._at_s + seconds / 2)):
            watts, var = self._powers(volts, amps)
            total_w += watts
            total_va += volts * abs(amps)
            self._count("energy", k, watts * hours / 1000)
            self._count("reactive_energy", k, var * hours / 1000)
        self.apparent_kvah += total_va * hours / 1000
        self._demand_ws += total_w * seconds
        self._at_s += seconds
        if self._at_s >= self._demand_end_s:
            self._demand_w = self._demand_ws / DEMAND_S
            self._demand_max_w = max(self._demand_max_w, self._demand_w)
            self._demand_ws, self._demand_end_s = 0.0, self._demand_end_s + DEMAND_S

    def _count(self, energy: str, phase: int, amount: float) -> None:
        way = "import" if amount >= 0 else "export"
        self.totals[f"{energy}_{way}"][phase] += abs(amount)

    def _phases(self, at_s: float) -> list[tuple[float, float]]:
        return list(zip(self.volts, self.amps(at_s), strict=False))[: self.phases]

    def _powers(self, volts: float, amps: float) -> tuple[float, float]:
        watts = volts * amps * self.power_factor
        var = volts * abs(amps) * math.sqrt(1 - self.power_factor**2)
        return watts, var

    def _figures(self) -> dict[str, float]:
        now = self._phases(self._at_s)
        angle = math.degrees(math.acos(self.power_factor))
        sums = dict.fromkeys(("power", "reactive_power", "apparent_power"), 0.0)
        out: dict[str, float] = {"frequency": self.hz, "apparent_energy": self.apparent_kvah}
        for k, (phase, (volts, amps)) in enumerate(zip(PHASES, now, strict=False)):
            watts, var = self._powers(volts, amps)
            figures = {"power": watts, "reactive_power": var, "apparent_power": volts * abs(amps)}
            for name, figure in figures.items():
                sums[name] += figure
                out[f"{name}_{phase}"] = figure
            out[f"voltage_{phase}"], out[f"current_{phase}"] = volts, abs(amps)
            out[f"power_factor_{phase}"] = math.copysign(self.power_factor, amps)
            out[f"phase_angle_{phase}"] = angle
            out[f"voltage_thd_{phase}"] = 1.5 + 0.1 * k
            for name in TOTALS:
                out[f"{name}_{phase}"] = self.totals[name][k]
            for name in ("energy", "reactive_energy"):
                both = self.totals[f"{name}_import"][k] + self.totals[f"{name}_export"][k]
                out[f"{name}_total_{phase}"] = both
        out |= sums
        out["power_factor"] = sums["power"] / sums["apparent_power"] if any(sums.values()) else 1.0
        out["phase_angle"] = angle
        out["power_demand"], out["power_demand_max"] = self._demand_w, self._demand_max_w
        for name in TOTALS:
            out[name] = sum(self.totals[name])
        for name in ("energy", "reactive_energy"):
            out[f"{name}_total"] = out[f"{name}_import"] + out[f"{name}_export"]
        out["energy_import_partial"] = out["energy_import_fine"] = out["energy_import"]
        out["apparent_power_demand"] = self._demand_w / self.power_factor
        if self.phases == 3:
            out |= self._between(now)
        return out

    @staticmethod
    def _between(now: list[tuple[float, float]]) -> dict[str, float]:
        """What only a meter of three phases knows: between the lines, averages, the neutral."""
        volts, amps = [u for u, _ in now], [abs(i) for _, i in now]
        out = {
            f"voltage_l{a + 1}{b + 1}": math.sqrt(
                volts[a] ** 2 + volts[b] ** 2 + volts[a] * volts[b]
            )
            for a, b in ((0, 1), (1, 2), (2, 0))
        }
        out["voltage_ll_avg"] = sum(out.values()) / 3
        out["voltage_avg"], out["current_avg"] = sum(volts) / 3, sum(amps) / 3
        out["current_sum"] = sum(amps)
        neutral = math.fsum(i * i for i in amps) - amps[0] * amps[1]
        neutral -= amps[1] * amps[2] + amps[2] * amps[0]
        out["current_n"] = out["current_vector_sum"] = math.sqrt(max(0.0, neutral))
        return out
