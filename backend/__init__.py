"""What serves the work: doors, scenes, tiles, files. Never imports qgis, Qt or ui.

This file runs in QGIS's Python and in the backend's: standard library only.
"""
