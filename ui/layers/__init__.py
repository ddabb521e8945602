"""Layers in and out: what the backend can open of one, and how results are shown."""
