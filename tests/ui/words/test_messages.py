"""From codes to sentences, in the user's language."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.PyQt.QtCore import QCoreApplication, QTranslator
from terramend.backend.errors import ERRORS, NOTICES, Notice
from terramend.ui.words.inspection import error_words, estimate, facts, outcome
from terramend.ui.words.messages import (
    ClientError,
    duration,
    notice_in_short,
    notice_sentence,
    overall_percent,
    progress_sentence,
    stage_title,
    tenths_of_long,
)
from terramend.ui.words.option_words import in_windows

ROOT = Path(__file__).resolve().parents[3]


class Shouting(QTranslator):
    """A language that is English in capitals, placeholders kept."""

    def translate(self, context: str, text: str, *rest: Any) -> str:
        if context != "Terramend":
            return ""
        pieces = []
        for literal, name, form, conversion in string.Formatter().parse(text):
            pieces.append(literal.upper().replace("{", "{{").replace("}", "}}"))
            if name is not None:
                field = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                pieces.append("{" + field + "}")
        return "".join(pieces)

    def isEmpty(self) -> bool:  # noqa: N802
        return False


@pytest.fixture
def shouting(qgis_app: Any) -> Iterator[None]:
    translator = Shouting()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


def test_errors_are_said_in_the_users_language(shouting: None) -> None:
    error = ClientError("file.access", {"path": "C:/größe.tif", "why": "gone"}, "english")
    assert str(error) == error.sentence
    assert error.sentence.startswith("C:/größe.tif CANNOT BE USED: gone")
    assert error.exit_status == 2 and not error.cancelled
    assert ClientError("run.cancelled").sentence.isupper() and ClientError("run.cancelled").cancelled


def test_notices_too(shouting: None) -> None:
    assert notice_sentence(Notice("fill.nothing").to_json()).isupper()


def test_why_a_method_was_chosen_too(shouting: None) -> None:
    measured = {"unit": Notice("unit.reflectance"), "error": "0.0100", "error_2": "0.0300"}
    measured |= {"way": Notice("way.date"), "way_2": Notice("way.surroundings")}
    reasons = [Notice("reason.date").to_json(), Notice("reason.two", measured).to_json()]
    said = estimate(looked(reasons=reasons))
    assert said.endswith(
        "ONE OTHER DATE OF THIS PLACE CAN SHOW WHAT LIES IN THE GAPS. ON HIDDEN PIXELS OF THIS SCENE THE ERROR IN "
        "REFLECTANCE IS 0.0100 WITH THE OTHER DATE AND 0.0300 WITH THE SURROUNDINGS ALONE. (guided)"
    )


@pytest.mark.parametrize("code", [*ERRORS, *NOTICES])
def test_every_template_survives_translation(shouting: None, code: str) -> None:
    template = ERRORS[code][1] if code in ERRORS else NOTICES[code]
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    arguments = {name.split(".")[0].split("[")[0]: 1.5 for name in names}
    if code in ERRORS:
        sentence = ClientError(code, arguments, "fallback").sentence
    else:
        sentence = notice_sentence({"code": code, "arguments": arguments, "message": "fallback"})
    assert sentence != "fallback"


def test_notices_in_short_leave_out_what_is_in_brackets() -> None:
    why = "/a/b.tif cannot be read as a raster ('/a/b.tif': an error (5)): check that it is whole."
    notice = {"code": "reference.broken", "arguments": {"path": "/a/b.tif", "why": why}}
    assert notice_in_short(notice) == (
        "b.tif is left out of the other dates. b.tif cannot be read as a raster: check that it is whole."
    )
    partial = Notice("mask.partial", {"path": "/a b/m.tif", "percent": 50})
    assert notice_in_short(Notice("notice.grid", {"grid": "20 m", "told": partial}).to_json()) == (
        "In the bands of 20 m: The mask m.tif covers only 50 % of the raster: what lies beyond is taken as clear."
    )


def test_fields_of_the_request_are_called_as_in_the_windows(shouting: None) -> None:
    wrong = {"field": "gaps.kind", "why": "'x' is no mask kind"}
    assert ClientError("request.field", wrong).sentence == "KIND OF GAP MASKS: 'x' is no mask kind."
    unseen = {"field": "jobs", "why": "it is 0 (choose) or a number of workers"}
    assert "FIELD jobs IS NOT VALID" in ClientError("request.field", unseen).sentence


def test_options_are_called_as_in_the_windows() -> None:
    sentence = ClientError("reference.mask", {"path": "--grow.tif"}).sentence
    assert sentence == (
        "The reference --grow.tif has no mask of its clouds: put one beside it, name one with “Its gaps” (in the "
        "toolbox “Gap masks of the other dates”), or say with “clear everywhere” (kind none) that it is clear."
    )
    folder = ClientError("references.clouds", {"path": "/a/dates", "name": "b.tif"}).sentence
    assert folder.endswith(
        "or say with “Folder's unmasked dates are clear” that those without a mask are clear."
    )
    needs = {"model": "copy", "needs": "references", "option": "--reference"}
    assert (
        "add another date, or choose “Choose by itself” (auto)." in ClientError("model.needs", needs).sentence
    )
    assert ClientError("model.no-bands", {"name": "a.tif"}).sentence.endswith(
        "name the bands with “Bands to fill” (in the toolbox)."
    )
    absent = in_windows("{model} lacks its network {name}: run terramend models install {name}.")
    assert absent.startswith("{model} lacks its network {name}: choose it in Terramend's dock")
    assert absent.endswith("press “Install its network”.")
    broken = ClientError("weights.download", {"address": "https://a/b", "why": "gone"}).sentence
    assert broken.endswith("run it again to go on, or choose “From a folder…”.")
    gone = ClientError("weights.refused", {"address": "https://a/b", "why": "404"}).sentence
    assert gone.endswith("(404): choose “From a folder…”.")
    value = ClientError("model.value", {"model": "de", "settings": "steps=0", "why": "few"}).sentence
    assert value.endswith("(few): “Advanced” in Terramend's dock says what it takes.")
    dates = ClientError("product.dates", {"path": "a", "first": "2020", "last": "2021"}).sentence
    assert dates.endswith("name the files of one, or a folder of other dates as such.")
    optical = ClientError("sar.optical", {"path": "a.tif"}).sentence
    assert optical == (
        "a.tif is an optical image, no radar: give Sentinel-1 backscatter in its place, or it as another date."
    )
    known = {"path": "a.tif", "why": "it has many", "option": "--gaps-kind"}
    assert (
        "say its kind with “Kind of gap masks” (in the dock the list beside it),"
        in ClientError("mask.ambiguous", known).sentence
    )
    other = {**known, "option": "--reference-gaps-kind"}
    assert "with “Kind of the other dates' masks”, for" in ClientError("mask.ambiguous", other).sentence


SHELL = ("batch.", "command.", "evaluate.", "experiment.", "fetch.", "training.")
"""What only commands say that no window gives."""
UNASKED = ("output.exists", "model.views")
"""What no window asks for: they overwrite what the analyst named, and have no pictures of steps."""


@pytest.mark.parametrize("code", [*ERRORS, *NOTICES])
def test_every_option_has_its_words_in_the_windows(code: str) -> None:
    if code.startswith(SHELL) or code in UNASKED:
        return
    template = ERRORS[code][1] if code in ERRORS else NOTICES[code]
    said = in_windows(template).replace("terramend train {model} --data DATA --out FOLDER", "")
    assert "--" not in said


def test_what_another_version_says_is_kept() -> None:
    assert ClientError("of.tomorrow", {}, "Tomorrow's words.").sentence == "Tomorrow's words."
    assert ClientError("of.tomorrow").sentence == "of.tomorrow"
    assert ClientError("file.access", {"path": "a"}, "The whole.").sentence == "The whole."
    assert notice_sentence({"code": "new", "message": "News."}) == "News."


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (89, "89 s"), (100, "2 min"), (3600, "60 min"), (7200, "2.0 h")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_progress_line() -> None:
    assert progress_sentence({"stage": "wait"}) == "Waiting for another run of Terramend to end"
    line = progress_sentence({"stage": "fill", "done": 3, "total": 40, "eta": 75.2})
    assert line == "Filling: 8 %, 75 s left"
    assert progress_sentence({"stage": "write", "done": 0, "total": 0, "eta": None}) == "Writing"
    assert (
        progress_sentence({"stage": "of tomorrow", "done": 1, "total": 2, "eta": None}) == "Of tomorrow: 50 %"
    )


SHOWN = [
    path
    for place in (".", "commands", "filling", "raster")
    for path in (ROOT / "backend" / place).glob("*.py" if place == "." else "**/*.py")
    if not path.name.startswith("batch")
]
STAGES = {name for path in SHOWN for name in re.findall(r"\.stage\(\"(\w+)\"", path.read_text("utf-8"))}


def test_every_stage_is_said_in_the_users_language(shouting: None) -> None:
    assert {"open", "fill", "check", "install"} <= STAGES
    for stage in sorted({*STAGES, "wait"}):
        assert stage_title(stage).isupper(), stage


def test_a_log_tells_of_tenths_of_what_takes_long() -> None:
    told = [
        tenths_of_long({"stage": "fill", "done": n, "total": 40, "eta": 0.5 * (40 - n)}) for n in range(41)
    ]
    assert told == [n // 4 if n <= 20 else 0 for n in range(41)]
    assert tenths_of_long({"stage": "fill", "done": 20, "total": 40, "eta": None}) == 0
    assert tenths_of_long({"stage": "write", "done": 0, "total": 0, "eta": 90.0}) == 0


def test_overall_percent_grows_through_the_stages() -> None:
    steps = [
        (stage, done)
        for stage in (
            "wait",
            "open",
            "list",
            "dates",
            "footprint",
            "gaps",
            "missed",
            "widen",
            "prepare",
            "learn",
            "fill",
            "write",
            "save",
        )
        for done in (0, 1, 2)
    ]
    percents = [overall_percent({"stage": stage, "done": done, "total": 2}) for stage, done in steps]
    assert percents == sorted(percents) and percents[0] == 0 and percents[-1] == 100
    assert overall_percent({"stage": "footprint", "done": 0, "total": 0}) == 2
    assert overall_percent({"stage": "of tomorrow", "done": 1, "total": 4}) == 25


def test_overall_percent_grows_through_the_grids_of_a_product() -> None:
    stages = ("footprint", "gaps", "missed", "widen", "prepare", "learn", "fill", "write")
    told = [{"stage": "open", "span": [0, 1]}]
    told += [{"stage": stage, "span": span} for span in ([0, 0.6], [0.6, 0.9], [0.9, 1]) for stage in stages]
    told.append({"stage": "save", "span": [0.9, 1]})
    steps = [{**one, "done": done, "total": 2} for one in told[1:] for done in (0, 1, 2)]
    percents = [overall_percent(one) for one in [{**told[0], "done": 0, "total": 0}, *steps]]
    assert percents == sorted(percents) and percents[0] == 0 and percents[-1] == 100
    assert overall_percent({"stage": "fill", "done": 0, "total": 2, "span": [0.6, 0.9]}) > 60


def test_errors_are_told_in_their_unit() -> None:
    """With the figures that the shell prints and that sentences hold."""
    assert error_words({"expected_error": 0.01234}) == "0.0123 reflectance"
    assert error_words({"expected_error": 0.00021}) == "0.00021 reflectance"
    assert error_words({"expected_error": 0.0123, "unit": "kilokelvin"}) == "12.30 K"
    assert error_words({"expected_error": 618.4, "unit": "values"}) == "618 (the file's own values)"


def looked(**other: Any) -> dict[str, Any]:
    """What `inspect` says of a scene, as far as the line above the buttons needs it."""
    found = {"gap_fraction": 0.25, "masks": [], "references": [], "dem": None, "sar": None}
    reasons = [Notice("reason.asked", {"title": "Guided"}).to_json()]
    return {**found, "model": "guided", "reasons": reasons, **other}


def test_what_would_be_filled_and_what_would_mend_it() -> None:
    assert estimate(looked()) == (
        "<b>25.0 % of the scene would be filled</b>. Guided was asked for. (guided)"
    )
    told = {"gap_fraction": 0.3, "expected_error": 0.01, "reasons": looked()["reasons"]}
    assert estimate(looked(), told).startswith("<b>30.0 % of the scene would be filled</b>, expected error")
    nothing = "No gaps were found: nothing would be filled."
    assert estimate(looked(gap_fraction=0)) == f"{nothing} Choose a mask of the clouds, or polygons."
    assert estimate(looked(gap_fraction=0, masks=[{"path": "a_SCL.tif"}])) == nothing
    assert estimate(looked(gap_fraction=1.0)).endswith(
        "so nothing can be filled: choose other dates of this place."
    )
    for guide in ({"references": [{}]}, {"dem": {"cover": 1}}, {"sar": {"cover": 1}}, {"model": "ddpm"}):
        assert "100.0 % of the scene would be filled" in estimate(looked(gap_fraction=1.0, **guide))


def test_what_a_fill_did() -> None:
    filled = {"gap_samples": 200, "gap_fraction": 0.25, "unfilled_samples": 0, "seconds": {"fill": 2.4}}
    filled = {**filled, "model": "guided", "expected_error": 0.0123}
    assert outcome(filled) == "Filled 25.0 % in 2 s (guided), expected error ± 0.0123 reflectance."
    none = {**filled, "expected_error": None, "unfilled_samples": 20}
    assert outcome(none) == "Filled 25.0 % in 2 s (guided). 10.0 % of the gaps could not be filled."
    assert outcome({**filled, "gap_samples": 0}) == "There was nothing to fill."


def test_one_band_is_not_several() -> None:
    found = {"sensor": "landsat8", "date": "2020-01-13", "bands": ["B4"]}
    found["grid"] = {"width": 380, "height": 377, "pixel_size": [30.0, 30.0]}
    assert facts(found) == "Landsat-8 · 2020-01-13 · 380 × 377 px · 30 m · 1 band"
    found["grid"]["pixel_size"] = [5565.97, 5400.0]  # of 0.05 degrees, which was 5.57e+03 m
    assert "5570 m" in facts(found)
