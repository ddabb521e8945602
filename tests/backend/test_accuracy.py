"""Check accuracy here: figures agree with a plain computation, and nothing hidden is seen."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest
import rasterio
from terramend.backend import accuracy as checking
from terramend.backend.accuracy import Errors, accuracy
from terramend.backend.accuracy_report import STYLE
from terramend.backend.errors import TerramendError
from terramend.backend.request import FillRequest, Mask, Reference, figure
from terramend.backend.watch import Watch
from terramend.models.base import Prediction, Source
from terramend.models.registry import Row

from .conftest import blobs, landscape


def request(target, gaps=None, **more) -> FillRequest:
    masks = (Mask(str(gaps), "nonzero"),) if gaps else ()
    base = {"model": "nearest", "radiometry": "sentinel2", "output": str(target.parent / "never.tif")}
    return FillRequest(target=(str(target),), gaps=masks, **{**base, **more})


def named(file) -> None:
    file.descriptions = ("red", "nir")


class Constant:
    """Predicts one value everywhere, and remembers what it saw."""

    def __init__(self, value=0.2, std=0.05):
        self.value, self.std, self.seen = value, std, []

    def prepare(self, overview):
        self.seen.append(overview)
        return None

    def predict(self, tile, state):
        self.seen.append(tile)
        mean = np.full(tile.image.shape, self.value, np.float32)
        plane = tile.image.shape[1:]
        return Prediction(
            mean, np.full_like(mean, self.std), np.full(plane, Source.SURROUNDINGS, np.uint8),
            np.full(plane, -1, np.int16),
        )  # fmt: skip


def test_figures_of_known_errors():
    rng = np.random.default_rng(0)
    error = rng.normal(0.01, 0.1, 200_000).astype(np.float32)
    errors = Errors()
    for part in np.split(error, 4):
        errors.add(part, np.full(part.shape, 0.1, np.float32))
    figures = errors.figures()
    assert figures["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert figures["bias"] == pytest.approx(0.01, abs=1e-3)
    assert figures["coverage"] == pytest.approx(0.9, abs=0.01)
    assert figures["coverage_50"] == pytest.approx(0.5, abs=0.01)
    assert Errors().figures()["rmse"] is None


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_constant_method_gets_the_errors_it_deserves(write, monkeypatch, share):
    truth = landscape(2, 120, 150).astype("uint16")
    target = write("in.tif", truth, named)
    gaps = write("gaps.tif", blobs(120, 150, share).astype(np.uint8)) if share else None
    model = Constant()
    monkeypatch.setattr(Row, "create", lambda *a: model)
    result = accuracy(request(target, gaps), Watch())
    assert result["hidden_under"] == ("own gaps" if share else "drawn clouds")
    overview, tile = model.seen
    hidden = np.isnan(tile.image)
    if share:
        with rasterio.open(gaps) as file:
            hidden &= file.read() == 0
    assert 0.02 < hidden.mean() < 0.35
    np.testing.assert_array_equal(np.isnan(overview.image), np.isnan(tile.image))  # no leak
    error = 0.2 - truth[hidden] * 1e-4
    assert result["samples"] == hidden.sum()
    assert result["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    assert result["bias"] == pytest.approx(error.mean(), rel=1e-4)
    assert result["coverage"] == pytest.approx(np.mean(np.abs(error) <= 1.64485 * 0.05), abs=1e-6)
    if share:  # the method states 0.05 everywhere; what was found here corrects it
        assert result["expected_before"] == pytest.approx(0.05, rel=1e-5)
        assert result["expected_after"] == pytest.approx(result["rmse"], rel=1e-5)
    else:
        assert result["expected_before"] is result["expected_after"] is None
    red, near = (truth[:, hidden[0]] * 1e-4).astype(np.float32)
    ndvi = 0 - (near - red) / (near + red)
    assert result["ndvi"]["rmse"] == pytest.approx(np.sqrt(np.mean(ndvi**2)), rel=1e-4)
    assert [band["band"] for band in result["bands"]] == ["red", "nir"]


def test_a_reference_shows_what_it_is_worth_and_nothing_is_written_but_the_report(write):
    truth = landscape(2, 160, 160).astype("uint16")
    target = write("in.tif", truth, named)
    other = write("other.tif", (truth * 0.9 + 100).astype("uint16"), named)
    gaps = write("gaps.tif", blobs(160, 160, 0.2).astype(np.uint8))
    references = (Reference(str(other), (Mask("", "none"),)),)
    alone = accuracy(request(target, gaps), Watch())
    report = target.parent / "report.html"
    guided = accuracy(request(target, gaps, model="auto", references=references), Watch(), str(report))
    assert guided["rmse"] < 0.5 * alone["rmse"]
    assert guided["model"] == "guided" and "other date" in guided["model_reason"]
    text = report.read_text("utf-8")
    assert "<h1>Accuracy check: in.tif</h1>" in text and "quality default" in text
    assert all(html.escape(notice["message"]) in text for notice in guided["notices"]) and guided["notices"]
    assert "nir" in text and "before this check" in text and "data:image/png;base64," in text
    names = {path.name for path in target.parent.iterdir()}
    assert names == {"in.tif", "other.tif", "gaps.tif", "report.html"}


def test_every_text_of_the_report_is_read_in_the_dark_too():
    light, dark = (
        set(re.findall(r"([\w.,]+)\{[^}]*(?<!-)color:", rules))
        for rules in STYLE.split("@media (prefers-color-scheme:dark)")
    )
    assert light == dark == {"body"}


def test_what_auto_tries_never_sees_what_is_hidden(write, monkeypatch):
    truth = landscape(2, 160, 160).astype("uint16")
    target, other = write("in.tif", truth, named), write("other.tif", truth, named)
    gaps = write("gaps.tif", blobs(160, 160, 0.2).astype(np.uint8))
    model = Constant()
    monkeypatch.setattr(Row, "create", lambda *a: model)
    asked = request(target, gaps, model="auto", references=(Reference(str(other), (Mask("", "none"),)),))
    result = accuracy(asked, Watch())
    assert len(result["tried"]) == 2
    *trials, overview, tile = model.seen
    hidden = np.isnan(tile.image)
    assert np.array_equal(np.isnan(overview.image), hidden) and len(trials) == 4
    assert all(np.isnan(shown.image[hidden]).all() for shown in trials)


def test_the_same_figures_again_and_for_any_number_of_workers(write, monkeypatch):
    monkeypatch.setattr("terramend.backend.raster.tiles.CORES", (256,))
    target = write("in.tif", landscape(1, 300, 520).astype("uint16"))
    figures = [accuracy(request(target, jobs=jobs, seed=3), Watch()) for jobs in (1, 3)]
    assert figures[0] == figures[1]
    assert accuracy(request(target, seed=4), Watch())["rmse"] != figures[0]["rmse"]


def test_big_scenes_are_sampled(write, monkeypatch):
    monkeypatch.setattr("terramend.backend.raster.tiles.CORES", (256,))
    monkeypatch.setattr(checking, "MOST_TILES", 2)
    seen = []
    target = write("in.tif", landscape(1, 520, 520).astype("uint16"))
    accuracy(request(target), Watch(on_progress=seen.append))
    assert max(p.total for p in seen if p.stage == "check") == 2


def test_nothing_to_hide_is_an_error(write):
    target = write("in.tif", np.zeros((1, 30, 30), "uint16"), nodata=0)
    with pytest.raises(TerramendError) as caught:
        accuracy(request(target), Watch())
    assert caught.value.code == "accuracy.nothing"


def test_classes_alone_are_refused(write):
    def decorate(file):
        file.descriptions = ("red", "SCL")

    target = write("a.tif", landscape(2, 64, 64).astype("uint16"), decorate)
    with pytest.raises(TerramendError, match="Band 2 .SCL. is a class band") as caught:
        accuracy(request(target, bands=(2,)), Watch())
    assert caught.value.code == "model.band"


@pytest.mark.parametrize(("name", "times"), [("lst", 1), ("no2_column", 1e-7)])
def test_figures_are_told_in_what_the_file_holds(write, capsys, name, times):
    """Columns of gas were told of in reflectance, as floats are that do not say what they are."""
    from terramend.backend.cli import main

    image = 250 + 100 * landscape(1, 100, 100) / landscape(1, 100, 100).max()
    target = write(f"{name}_20200101.tif", (times * image).astype("float32"))
    report = target.with_name("r.html")
    assert main(["accuracy", str(target), "--model", "nearest", "--html", str(report)]) == 0
    printed, result = capsys.readouterr().out, accuracy(request(target, radiometry="auto"), Watch())
    assert result["unit"] == "values" and "Errors are in the file's own values." in printed
    for told in (f"{result['rmse']:.3g}", f"{result['bias']:+.3g}"):
        assert told in printed and told in report.read_text("utf-8")


def test_kilokelvin_is_told_in_kelvin():
    assert (figure(0.01234, "kilokelvin"), figure(-0.0005, "kilokelvin", "+")) == ("12.34", "-0.50")


def test_small_errors_are_no_zero():
    """Kelvin in a raster that does not say so is guessed to be 10,000ths of reflectance."""
    assert (figure(0.00021, "reflectance"), figure(0.0123, "reflectance")) == ("0.00021", "0.0123")
    assert (figure(-0.00021, "reflectance", "+"), figure(0, "reflectance")) == ("-0.0002", "0.0000")


def test_the_doors_give_the_same_figures(write, capsys):
    from terramend.backend.cli import main

    target = write("in.tif", landscape(2, 100, 100).astype("uint16"), named)
    result = accuracy(request(target), Watch())
    options = [str(target), "--model", "nearest", "--radiometry", "sentinel2"]
    assert main(["accuracy", *options]) == 0
    printed = capsys.readouterr().out
    assert f"{result['rmse']:.4f}" in printed and "nir" in printed and "NDVI" in printed
    assert main(["accuracy", *options, "--html", str(target)]) == 2  # never over an input
    report = target.with_name("r.html")
    for words, status in (([], 0), ([], 2), (["--overwrite"], 0)):  # nor over another file unasked
        assert main(["accuracy", *options, "--html", str(report), *words]) == status
