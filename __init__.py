"""Terramend: satellite pixels given back, with the uncertainty said.

This file runs in QGIS's Python and in the backend's: standard library only.
"""

from __future__ import annotations


def classFactory(iface: object) -> object:  # noqa: N802 (the name is QGIS's)
    """Return the plugin object; QGIS calls this with its interface (or None)."""
    from .plugin import TerramendPlugin

    return TerramendPlugin(iface)
