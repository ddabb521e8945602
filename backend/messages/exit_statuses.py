"""Exit statuses of the command line.

Standard library only, Python 3.9: what imports `errors` imports this.
"""

from __future__ import annotations

INPUT, ENVIRONMENT, CANCELLED, PARTIAL, INTERNAL = 2, 3, 4, 5, 1
"""The user's input, the environment, cancelled, part of a batch, our fault."""
