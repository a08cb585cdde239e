from tests.kit.fixtures import tmp_path

__all__ = ["tmp_path"]
