from tests.kit.fixtures import broker, mosquitto, site

__all__ = ["broker", "mosquitto", "site"]
