"""A subscriber that keeps what it hears in a file, with the moment; decoding comes later.

python -m tests.bench.listen BROKER_PORT FILE
"""

import sys
import time
from pathlib import Path
from typing import Any, Final

import msgpack
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

RETRY_S: Final = 0.02


def main() -> None:
    """Until it is terminated. Prints a line when it is subscribed."""
    file = Path(sys.argv[2]).open("wb", buffering=0)  # noqa: SIM115  until the process ends

    def heard(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        file.write(msgpack.packb([time.monotonic_ns(), message.topic, message.payload]))

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = heard
    client.on_subscribe = lambda *_: print("{}", flush=True)
    # a broker that comes back is to be heard at once: what is measured is the gateway's return
    client.on_connect = lambda mine, *_: subscribe(mine)
    client.reconnect_delay_set(RETRY_S, RETRY_S)  # type: ignore[arg-type]  # parts of seconds, too
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_forever()


def subscribe(client: mqtt.Client) -> None:
    client.subscribe("#", qos=0)


if __name__ == "__main__":
    main()
