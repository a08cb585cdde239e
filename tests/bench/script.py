"""What people write: ask each meter, publish one JSON a meter. The peer of the benchmarks.

python -m tests.bench.script TABLE.toml UNITS EVERY_S MODBUS_PORT BROKER_PORT
"""

import json
import struct
import sys
import time
import tomllib
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

table, units, every_s, modbus, broker = sys.argv[1:]
points = tomllib.loads(Path(table).read_text("utf-8"))["points"]
layout = ">" + "".join({"f32": "f", "u64": "Q"}[row["type"]] for row in points.values())
words = struct.calcsize(layout) // 2

client = mqtt.Client(CallbackAPIVersion.VERSION2)
client.connect("127.0.0.1", int(broker))
client.loop_start()
meters = ModbusTcpClient("127.0.0.1", port=int(modbus), timeout=0.5, retries=0)
meters.connect()  # type: ignore[no-untyped-call]  # pymodbus does not say
due = time.monotonic()
while True:
    for unit in range(1, int(units) + 1):
        try:
            answer = meters.read_input_registers(0, count=words, device_id=unit)
        except ModbusException:  # it stays silent
            meters.connect()  # type: ignore[no-untyped-call]  # pymodbus does not say
            continue
        data = struct.pack(f">{words}H", *answer.registers)
        values = [round(value, 3) for value in struct.unpack(layout, data)]
        message = {"t": round(time.time(), 3), "meter": unit, **dict(zip(points, values))}  # noqa: B905
        client.publish(f"site/meter{unit}", json.dumps(message), qos=1)
    due = max(due + float(every_s), time.monotonic() - 1)
    time.sleep(max(0.0, due - time.monotonic()))
