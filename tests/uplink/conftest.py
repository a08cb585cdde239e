from tests.kit.fixtures import mosquitto

__all__ = ["mosquitto"]
