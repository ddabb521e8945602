"""Training of networks: one loop, checkpoints without pickle, one recipe a network.

The plugin works without this folder; it needs the full environment (torch).
"""

from ... import models  # noqa: F401 (keeps ONNX Runtime from reporting, which `quantize` imports)
