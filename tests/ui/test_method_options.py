"""Options of a method in the dock: offered where it takes some, kept, told to the backend."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.core import QgsApplication
from terramend.ui.choices import Choices
from terramend.ui.widgets.method import MethodBox
from terramend.ui.widgets.method_options import MethodOptions

ROWS = [
    {"name": "guided", "title": "Guided", "group": "guided", "available": True, "options": {}},
    {"name": "told", "title": "Told", "group": "network", "available": True,
     "options": {"prompt": "its text", "region": "its place"}},
    {"name": "net", "title": "Net", "group": "network", "available": True,
     "options": {"device": "default: what --device says"}},
]  # fmt: skip


@pytest.fixture
def box(qgis_app: QgsApplication) -> MethodBox:
    made = MethodBox()
    made.show_methods(ROWS)
    return made


def test_only_methods_with_options_show_them(box: MethodBox) -> None:
    assert box.options.isHidden() and not box.options.fields
    box.model.setCurrentIndex(box.model.findData("told"))
    assert not box.options.isHidden() and box.options.box.isCollapsed()
    assert list(box.options.fields) == ["prompt", "region"]
    assert box.options.fields["region"].placeholderText() == "its place"
    box.model.setCurrentIndex(box.model.findData("net"))
    assert box.options.fields["device"].placeholderText() == "default: what “Runs on” says"
    box.model.setCurrentIndex(box.model.findData("guided"))
    assert box.options.isHidden()


def test_what_is_typed_is_a_setting_of_that_method_alone(box: MethodBox) -> None:
    box.model.setCurrentIndex(box.model.findData("told"))
    heard: list[Any] = []
    box.changed.connect(lambda: heard.append(box.values()))
    box.options.fields["region"].setText(" Utah ")
    box.options.fields["region"].editingFinished.emit()
    assert heard[-1]["settings"] == (("region", "Utah"),)
    box.model.setCurrentIndex(box.model.findData("guided"))
    assert box.values()["settings"] == ()
    box.model.setCurrentIndex(box.model.findData("told"))
    assert box.values()["settings"] == (("region", "Utah"),)


def test_choices_come_back(box: MethodBox) -> None:
    box.show_choices(Choices(model="told", settings=(("prompt", "{band}"),)))
    assert box.options.fields["prompt"].text() == "{band}"
    assert box.values()["settings"] == (("prompt", "{band}"),)
    box.show_choices(Choices())
    box.model.setCurrentIndex(box.model.findData("told"))
    assert box.values()["settings"] == ()


def test_before_the_backend_has_told_settings_travel_through(qgis_app: QgsApplication) -> None:
    made = MethodBox()
    made.show_choices(Choices(settings=(("weights", "/runs/palette"),)))
    assert made.values()["settings"] == (("weights", "/runs/palette"),)


def test_prompts_of_the_scene_are_shown(qgis_app: QgsApplication) -> None:
    options = MethodOptions()
    options.show_prompts(["<AlignDiff> Peru, Red"])  # no field for it: nothing happens
    options.show_options({"prompt": "its text"})
    options.show_prompts(["<AlignDiff> Peru, Red", "<AlignDiff> Peru, NIR"])
    assert options.fields["prompt"].placeholderText() == "<AlignDiff> Peru, Red"
    assert options.values() == ()
