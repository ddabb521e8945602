"""Which Python runs the backend: a variable over the setting over the managed environment."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.core import QgsApplication

from .. import settings
from ..tr import tr
from ..words.messages import ClientError
from .environment import State, environment_python, state

VARIABLE = "TERRAMEND_PYTHON"


def managed_folder() -> Path:
    """Where the managed environment lies: in the user's profile, which an upgrade leaves alone."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "terramend" / "environment"


def chosen_interpreter() -> str:
    """The path of the backend's Python.

    Raises:
        ClientError: `backend.absent`, `backend.outdated`, `backend.start` where the managed
            environment is damaged, or `backend.interpreter` where the chosen file does not exist.
    """
    own = os.environ.get(VARIABLE) or settings.get("backend/python")
    if own:
        if not os.path.isfile(own):  # noqa: PTH113 - Path's raises where a folder is closed to us
            raise ClientError("backend.interpreter", {"path": own, "why": tr("there is no such file")})
        return str(own)
    found = state(managed_folder())
    if found is State.ABSENT:
        raise ClientError("backend.absent")
    if found is State.OUTDATED:
        raise ClientError("backend.outdated")
    if found is State.BROKEN:
        raise ClientError("backend.start", {"why": tr("its environment is damaged")})
    return str(environment_python(managed_folder()))


def is_ready() -> bool:
    """Whether an interpreter for the backend is there (it may still fail to start)."""
    try:
        return bool(chosen_interpreter())
    except ClientError:
        return False
