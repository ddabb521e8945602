"""Multi-reference, terrain-aware local regression: the default."""
