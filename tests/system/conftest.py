from tests.kit.fixtures import broker, site

__all__ = ["broker", "site"]
