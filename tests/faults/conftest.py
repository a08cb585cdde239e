from tests.kit.fixtures import broker, group, mosquitto, site

__all__ = ["broker", "group", "mosquitto", "site"]
