"""Which Python is taken: the variable over the setting over the managed environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terramend.ui import settings
from terramend.ui.installation import environment, interpreter
from terramend.ui.installation.environment import Variant
from terramend.ui.words.messages import ClientError


@pytest.fixture
def managed(qgis_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The place of the managed environment, with nothing there and nothing chosen."""
    folder = tmp_path / "environment"
    monkeypatch.delenv("TERRAMEND_PYTHON")
    monkeypatch.setattr(interpreter, "managed_folder", lambda: folder)
    settings.put("backend/python", "")
    yield folder
    settings.put("backend/python", "")


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return str(path)


def refusal() -> str:
    assert not interpreter.is_ready()
    with pytest.raises(ClientError) as caught:
        interpreter.chosen_interpreter()
    return caught.value.code


def test_variable_over_setting_over_managed(
    managed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal() == "backend.absent"
    inside = program(environment.environment_python(managed))
    environment.write_marker(managed, Variant())
    assert interpreter.chosen_interpreter() == inside
    own = program(tmp_path / "own python")
    settings.put("backend/python", own)
    assert interpreter.chosen_interpreter() == own
    variable = program(tmp_path / "variable")
    monkeypatch.setenv("TERRAMEND_PYTHON", variable)
    assert interpreter.chosen_interpreter() == variable and interpreter.is_ready()


def test_what_cannot_be_used_is_refused_with_its_reason(
    managed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(environment.environment_python(managed))
    assert refusal() == "backend.start"
    environment.write_marker(managed, Variant())
    monkeypatch.setattr(environment, "requirements_hash", lambda variant: "another")
    assert refusal() == "backend.outdated"
    settings.put("backend/python", str(managed / "gone"))
    assert refusal() == "backend.interpreter"


def test_the_managed_folder_is_in_the_profile(qgis_app: Any) -> None:
    from qgis.core import QgsApplication

    folder = interpreter.managed_folder()
    assert Path(QgsApplication.qgisSettingsDirPath()) in folder.parents


def test_settings_keep_their_types(qgis_app: Any) -> None:
    for key, default in settings.SETTINGS.items():
        settings.put(key, default)
        value = not default if isinstance(default, bool) else "größe"
        settings.put(key, value)
        assert settings.get(key) == value and type(settings.get(key)) is type(default)
        settings.put(key, default)
        assert settings.get(key) == default
