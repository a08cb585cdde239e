"""The wires: what each kind of bus has to be told."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from edge.config.model.fieldtypes import Baud, Bits, Parity, Port, Stop, Timeout, Wire
from edge.core.driver import FACTORY_LINE, SerialLine


class GpioBus(Struct, frozen=True, kw_only=True):
    """A GPIO chip: loops, S0 outputs, contacts."""

    kind: ClassVar[str] = "gpio"
    chip: Annotated[Wire, Meta(description="The chip.")] = "/dev/gpiochip0"


class I2cBus(Struct, frozen=True, kw_only=True):
    """An I2C bus: air sensors."""

    kind: ClassVar[str] = "i2c"
    path: Annotated[Wire, Meta(description="The bus.")] = "/dev/i2c-1"


class SerialBus(Struct, frozen=True, kw_only=True):
    """A serial port with one device that sends frames, or with several that have addresses.

    Settings that are left out are the factory settings of its device.
    """

    kind: ClassVar[str] = "serial"
    port: Annotated[Port, Meta(description="The port.")]
    baud: Annotated[Baud, Meta(description="Bits per second.")] | None = None
    parity: Annotated[Parity, Meta(description="None, even or odd.")] | None = None
    bits: Annotated[Bits, Meta(description="Data bits.")] | None = None
    stop: Annotated[Stop, Meta(description="Stop bits.")] | None = None

    def line(self, factory: SerialLine = FACTORY_LINE) -> SerialLine:
        """How the port is set, where its device leaves the factory like this."""
        return SerialLine(
            self.baud or factory.baud,
            self.bits or factory.bits,
            self.parity or factory.parity,
            self.stop or factory.stop,
        )


class ModbusRtuBus(Struct, frozen=True, kw_only=True):
    """An RS-485 line with Modbus devices on it. The gateway is its only master."""

    kind: ClassVar[str] = "modbus-rtu"
    port: Annotated[Port, Meta(description="The port of the RS-485 adapter.")]
    baud: Annotated[Baud, Meta(description="Bits per second, as set in all its devices.")] = 9600
    parity: Annotated[Parity, Meta(description="None, even or odd.")] = "N"
    stop: Annotated[Stop, Meta(description="Stop bits.")] = 1
    timeout_s: Timeout = 0.5
    link_delay_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60.0,
            description="Seconds after a request within which a late answer may still "
            "come, as behind a radio or an Ethernet converter. Until then "
            "no request is sent whose answer could be confused with it.",
        ),
    ] = 5.0


class ModbusTcpBus(Struct, frozen=True, kw_only=True):
    """A Modbus TCP device, or a converter with an RS-485 line behind it."""

    kind: ClassVar[str] = "modbus-tcp"
    host: Annotated[
        str,
        Meta(
            pattern=r"[A-Za-z0-9_.:-]{1,253}",
            extra={"form": "a name or an address of a host"},
            description="Its name or address.",
        ),
    ]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its TCP port.")] = 502
    timeout_s: Timeout = 1.0


Bus = GpioBus | I2cBus | SerialBus | ModbusRtuBus | ModbusTcpBus
BUSES: Final[dict[str, type[Bus]]] = {
    model.kind: model for model in (GpioBus, I2cBus, SerialBus, ModbusRtuBus, ModbusTcpBus)
}
WIRINGS: Final[dict[str, tuple[str, ...]]] = {
    "i2c": ("i2c",),
    "serial": ("serial",),
    "modbus": ("modbus-rtu", "modbus-tcp"),
    "gpio": ("gpio",),
}  # how a driver is wired -> the kinds of bus that carry it
