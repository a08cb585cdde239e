"""The models that ship with the gateway: a folder each, with the bundle and how it was made."""

from pathlib import Path
from typing import Final

BUNDLES: Final = Path(
    __file__
).parent  # BUNDLES / name / f"{name}.onnx", manifest.json, golden.json
