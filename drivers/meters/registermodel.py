"""A Modbus device as a table tells it: which registers it has, and what each of them means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from math import inf, prod
from typing import Final

from edge.core import Condition, ConfigError, Point, Quantity
from edge.core.point import SIGNED_QUANTITIES

WORDS: Final = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "u64": 4, "i64": 4, "f64": 4}
ENERGIES: Final = (Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.APPARENT_ENERGY)
RATED: Final = (*SIGNED_QUANTITIES, Quantity.APPARENT_POWER)  # as large as the currents allow
POSITIVE: Final = ("import", "export")


@dataclass(frozen=True, slots=True)
class Register:
    """Where a value lives and how it is told: raw value of `type`, times `scale`.

    `times` names ratios that multiply it further; `low` and `high` bound it before they do, the
    point's own bounds are for the product. `function` 0 is that of the table.
    """

    point: Point
    address: int
    type: str
    scale: float = 1.0
    function: int = 0
    times: tuple[str, ...] = ()
    low: float = -inf
    high: float = inf

    @property
    def words(self) -> int:
        """Registers of 16 bits that it takes."""
        return WORDS[self.type]

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.words


@dataclass(frozen=True, slots=True)
class SerialField:
    """Where the serial number lives: an integer, or text of so many registers."""

    address: int
    type: str  # u16, u32, u64 or text
    function: int
    words: int


@dataclass(frozen=True, slots=True)
class ConditionField:
    """A register that says that something is wrong, by not being `normal`."""

    condition: Condition
    register: Register
    normal: int
    says: str  # a sentence for a person


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """A whole device, as read from its file. `words` is the order inside long values.

    `ratios` are registers that multiply others, `signs` tell of conditions: both are read with
    the points, and are none. `absent` says which raw values mean that the device has no such
    value; `amps` for which rated current the ranges were made, 0 if that is nothing to be told.
    """

    name: str
    maker: str
    model: str
    function: int
    words: str
    max_registers: int
    registers: tuple[Register, ...]
    line: str = ""  # as it leaves the factory: "9600 8N1"
    bauds: tuple[int, ...] = ()  # all that it can be set to, where that is known
    formats: tuple[str, ...] = ()
    gap: int | None = None  # registers without a point that may be read along; None: any number
    absent: tuple[str, ...] = ()
    amps: float = 0.0
    identity: SerialField | None = None
    ratios: Mapping[str, Register] = field(default_factory=dict)
    signs: tuple[ConditionField, ...] = ()

    @property
    def cells(self) -> tuple[Register, ...]:
        """All that is read: the points in their order, then ratios and signs."""
        return (*self.registers, *self.ratios.values(), *(sign.register for sign in self.signs))

    def asks(self, register: Register) -> int:
        """The function that reads it."""
        return register.function or self.function

    def only(self, points: Iterable[str]) -> "RegisterMap":
        """The same device with these of its points, in the table's order, and what they need.

        Raises ConfigError for a point that it has not. Conditions of others are left out too:
        whoever names points wants the wire for them.
        """
        wanted, known = list(points), [register.point.key for register in self.registers]
        for key in wanted:
            if key not in known:
                hint = get_close_matches(key, known, 1)
                meant = f"did you mean {hint[0]!r}?" if hint else f"choose from {', '.join(known)}"
                raise ConfigError(f"{self.name} has no point {key!r}; {meant}")
        if not wanted:
            raise ConfigError(
                f"{self.name}: name at least one point; choose from {', '.join(known)}"
            )
        chosen = tuple(register for register in self.registers if register.point.key in wanted)
        needed = {name for register in chosen for name in register.times}
        ratios = {name: ratio for name, ratio in self.ratios.items() if name in needed}
        return replace(self, registers=chosen, ratios=ratios, signs=())

    def rated(self, amps: float) -> "RegisterMap":
        """The same device rated for `amps`: the primary current of the transformers before it.

        The meter itself multiplies by their ratio, so only ranges follow, with their margin: of
        currents and powers, and of energies where they become larger. Raises ConfigError where
        that means nothing.
        """
        if not self.amps:
            raise ConfigError(f"{self.name} has no amps to be changed")
        factor = amps / self.amps
        if factor == 1:
            return self
        registers = (
            _wider(r, factor if r.point.quantity in RATED else max(1.0, factor))
            if r.point.quantity in (*RATED, *ENERGIES)
            else r
            for r in self.registers
        )
        return replace(self, registers=tuple(registers), amps=amps)

    def counting(self, positive: str) -> "RegisterMap":
        """The same device whose own positive power is import, or export: ours is import always.

        With "export" everything that has a direction and may be negative changes its sign. The
        registers of energy are named for what they count, and stay.
        """
        if positive == "import":
            return self
        return replace(self, registers=tuple(_turned(register) for register in self.registers))


def _wider(register: Register, factor: float) -> Register:
    point = register.point
    wide = replace(point, low=point.low * factor, high=point.high * factor)
    return replace(register, point=wide)


def _turned(register: Register) -> Register:
    point = register.point
    if point.quantity not in SIGNED_QUANTITIES or point.low >= 0:
        return register
    return replace(
        register,
        point=replace(point, low=-point.high, high=-point.low),
        scale=-register.scale,
        low=-register.high,
        high=-register.low,
    )


def ratio_factor(register: Register, ratios: Mapping[str, Register]) -> float:
    """How many times larger a value may become by its ratios."""
    return prod(ratios[name].point.high for name in register.times)
