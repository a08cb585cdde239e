from tests.system.conftest import broker, site
from tests.uplink.conftest import mosquitto

__all__ = ["broker", "mosquitto", "site"]
