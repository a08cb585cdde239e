from tests.kit.command import kerbstone

__all__ = ["kerbstone"]
