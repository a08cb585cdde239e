from tests.kit.command import kerbstone
from tests.kit.fixtures import broker, mosquitto, site

__all__ = ["broker", "kerbstone", "mosquitto", "site"]
