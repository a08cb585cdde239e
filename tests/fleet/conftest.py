from tests.kit.command import kerbstone
from tests.kit.fixtures import broker, mosquitto

__all__ = ["broker", "kerbstone", "mosquitto"]
