from tests.kit.command import kerbstone, site
from tests.kit.fixtures import broker

__all__ = ["broker", "kerbstone", "site"]
