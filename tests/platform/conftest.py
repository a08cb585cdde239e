from tests.uplink.conftest import mosquitto

__all__ = ["mosquitto"]
