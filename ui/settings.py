"""What the plugin remembers for the user, in QGIS's own settings (the project remembers the rest)."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings

# key: default. The type of the default is the type of the setting.
SETTINGS = {
    "backend/python": "",  # an interpreter of the user's own; empty: the managed environment
    "environment/wheels": "",  # the folder of wheels that was last installed from
    "environment/declined": False,  # the offer at first use was declined; the menu still has it
    "experimental": False,  # methods that ship without proven weights are offered too
}
PREFIX = "terramend/"


def get(key: str) -> Any:
    """The value of a setting, of the type of its default."""
    default = SETTINGS[key]
    return QgsSettings().value(PREFIX + key, default, type(default))


def put(key: str, value: Any) -> None:
    """Remember a value; the default is remembered by forgetting."""
    if value == SETTINGS[key]:
        QgsSettings().remove(PREFIX + key)
    else:
        QgsSettings().setValue(PREFIX + key, value)
