"""The Python of the backend: chosen, made, proven, repaired, removed."""
