"""The models that ship with the gateway: a folder each, with the bundle and how it was made."""

import os
from pathlib import Path
from typing import Final

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # see edge.infer; training and evaluation load it, too

BUNDLES: Final = Path(
    __file__
).parent  # BUNDLES / name / f"{name}.onnx", manifest.json, golden.json
