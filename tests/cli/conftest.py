from tests.kit.command import kerbstone, site

__all__ = ["kerbstone", "site"]
