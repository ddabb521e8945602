"""The choice of the method: named ones are checked, `auto` says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.filling.choose import Facts, choose, create, named, say_unused, untried_reason
from terramend.backend.request import FillRequest
from terramend.backend.watch import Watch
from terramend.models import registry

REQUEST = FillRequest(target=("a.tif",), output="b.tif")


NOTHING = Facts()


def refused(code: str, request: FillRequest, facts: Facts = NOTHING) -> str:
    with pytest.raises(TerramendError) as caught:
        choose(request, facts)
    assert caught.value.code == code
    return str(caught.value)


@pytest.mark.parametrize(
    "facts, word",
    [
        (Facts(references=1), "One other date"),
        (Facts(references=3, terrain=True), "3 other dates"),
        (Facts(terrain=True), "terrain"),
        (Facts(sar=True), "radar"),
        (Facts(), "smooth"),
    ],
)
def test_auto_says_why(facts, word):
    row, reason = choose(REQUEST, facts)
    sentence = reason.sentence
    assert row.name == "guided" and word in sentence
    assert sentence.endswith(".") and sentence.count(".") == 1


def test_a_named_method_is_taken():
    row, reason = choose(replace(REQUEST, model="harmonic"), Facts())
    assert row.name == "harmonic" and row.title in reason.sentence


@pytest.mark.parametrize("model", ["auto", "guided", "copy"])
def test_maps_of_classes_are_filled_by_no_method(model):
    asked, facts = replace(REQUEST, model=model), Facts(references=2, classes=True)
    row, reason = choose(asked, facts)
    assert row.name == "majority" and "most frequent class" in reason.sentence
    assert untried_reason(reason, asked, facts) == (reason,)


def test_no_majority_removes_thin_cloud():
    row, reason = choose(replace(REQUEST, mode="clear"), Facts(classes=True))
    assert row.name == "msda-cr" and "thin cloud" in reason.sentence


def test_what_a_method_does_not_look_at_is_told():
    asked, facts = replace(REQUEST, mode="clear"), Facts(references=1, sar=True)
    say_unused(choose(asked, facts)[0], asked, facts, watch := Watch())
    said = [notice.sentence for notice in watch.notices]
    assert said == [
        "The method msda-cr makes no use of --reference; these do: align-cr, de.",
        "The method msda-cr makes no use of --sar; these do: align-cr, de.",
    ]
    say_unused(choose(REQUEST, facts)[0], REQUEST, facts, watch := Watch())
    assert not watch.notices


def test_unknown_names_list_the_known():
    assert "guided" in refused("model.unknown", replace(REQUEST, model="magic"))


def test_needs_name_the_option():
    assert "--reference" in refused("model.needs", replace(REQUEST, model="copy"))
    assert choose(replace(REQUEST, model="copy"), Facts(references=1))[0].name == "copy"


def test_settings_are_checked_before_anything_is_read():
    with pytest.raises(TerramendError) as caught:
        named(replace(REQUEST, model="mean", settings=(("speed", "9"),)))
    assert caught.value.code == "model.setting"
    refused("model.setting", replace(REQUEST, settings=(("speed", "9"),)))


def test_mode_and_package(monkeypatch):
    refused("model.mode", replace(REQUEST, model="harmonic", mode="clear"))
    row = replace(registry.find("mean"), name="heavy", requires=("no_such_package",))
    monkeypatch.setattr("terramend.backend.filling.choose.find", lambda name: row)
    refused("model.package", replace(REQUEST, model="heavy"))


def test_wrong_values_are_the_users_not_ours(monkeypatch):
    def make(quality, seed, **settings):
        raise ValueError("speed must be a number")

    row = replace(registry.find("mean"), options={"speed": "how fast"})
    monkeypatch.setattr(type(row), "create", lambda self, *a: make(*a[:2], **a[2]))
    with pytest.raises(TerramendError, match="speed must be a number") as caught:
        create(row, replace(REQUEST, model="mean", settings=(("speed", "x"),)))
    assert caught.value.code == "model.value"
