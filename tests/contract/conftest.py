from tests.system.conftest import broker, site

__all__ = ["broker", "site"]
