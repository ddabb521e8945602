"""How gaps are predicted: arrays in, arrays out. Imports neither backend nor ui."""

import os

# Unless these are set before they are imported, ONNX Runtime gives this machine an identifier and reports to
# its maker what it runs, and what asks Hugging Face's hub for networks tells it what else is installed. They
# stand here because QGIS, whose other plugins decide for themselves, never imports models.
for _name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ.setdefault(_name, "1")

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""What ONNX Runtime calls the devices; here, because `doctor` asks for them where it is not installed."""
