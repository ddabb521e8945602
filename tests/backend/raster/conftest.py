"""Makes `makers` importable (test files may repeat names, so no package is made of the tests)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
