"""Flags from the windows: small models, and published rules where a model cannot answer."""

import os

# onnxruntime reports to its maker, and keeps an identifier of this machine, unless it is set not
# to before it is loaded (its Privacy.md)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
