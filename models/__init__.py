"""How gaps are predicted: arrays in, arrays out. Imports neither backend nor ui."""

import os

# ONNX Runtime gives this machine an identifier and reports to its maker what it runs, unless this is set
# before it is imported. It stands here because QGIS, whose other plugins decide for themselves, never
# imports models.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
