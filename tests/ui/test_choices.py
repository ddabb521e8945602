"""Choices, their way into parameters and back, and the request that comes of them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDateTimeRange,
    QgsFeedback,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime
from terramend.backend.request import from_json
from terramend.ui.choices import (
    ChoiceError,
    Choices,
    MaskChoice,
    ReferenceChoice,
    from_parameters,
    from_request,
    from_values,
    layer_of,
    to_parameters,
)
from terramend.ui.request_builder import build

BOX = QgsRectangle(2.80, 42.33, 2.82, 42.35)


@pytest.fixture
def layers(qgis_new_project: None, scene: dict[str, str]) -> dict[str, QgsRasterLayer]:
    made = {key: QgsRasterLayer(path, key) for key, path in scene.items()}
    QgsProject.instance().addMapLayers(list(made.values()))
    return made


@pytest.fixture
def rich(layers: dict[str, QgsRasterLayer], tmp_path: Path) -> Choices:
    """Something in every field."""
    return Choices(
        target=(layers["target"],),
        output=str(tmp_path / "out.tif"),
        gaps=(MaskChoice(layers["mask"], "nonzero"), MaskChoice(layers["truth"], "value=1,2")),
        own_mask=True,
        classes=("cloud", "snow"),
        grow="30m",
        cloud_threshold=25.0,
        fill_swath_edges=True,
        missed=True,
        references=(
            ReferenceChoice(layers["other"], MaskChoice(layers["other_mask"], "nonzero"), "2020-01-28"),
            ReferenceChoice(layers["truth"]),
            ReferenceChoice(str(tmp_path / "more.tif"), MaskChoice("", "none")),
        ),
        references_from=str(tmp_path),
        references_clear=True,
        dem=layers["mask"],
        sar=layers["truth"],
        sun=(145.5, 33.25),
        date="2020-01-13",
        radiometry="sentinel2",
        bands=(1, 3),
        extent=QgsReferencedRectangle(BOX, QgsCoordinateReferenceSystem("EPSG:4326")),
        unfilled="nodata",
        model="guided",
        quality="best",
        settings=(("a", "1"), ("b", "two")),
        seed=7,
        device="cpu",
        std=str(tmp_path / "std.tif"),
        provenance=str(tmp_path / "provenance.tif"),
        creation_options=("COMPRESS=ZSTD", "COG=YES"),
    )


def test_parameters_and_back(rich: Choices) -> None:
    assert all(getattr(rich, field.name) != getattr(Choices(), field.name) for field in fields(Choices))
    assert from_parameters(to_parameters(rich), QgsProject.instance()) == rich
    empty = Choices()
    assert from_parameters(to_parameters(empty), QgsProject.instance()) == empty


def test_semicolons_in_what_is_typed_part_no_list(layers: dict[str, QgsRasterLayer]) -> None:
    """A prompt may hold them; in a kind or a date they are wrong, but cost a project no other choice."""
    wordy = (("prompt", "a river; reeds on both banks"), ("steps", "3"))
    choices = Choices(
        target=(layers["target"],),
        gaps=(MaskChoice(layers["mask"], "scl;qa60"),),
        references=(
            ReferenceChoice(layers["other"], MaskChoice(layers["other_mask"], "1;2;3"), "May;June"),
            ReferenceChoice("/some/2020-02-03.tif"),
        ),
        settings=wordy,
        quality="best",
    )
    again = from_parameters(to_parameters(choices), QgsProject.instance())
    assert (again.settings, again.quality) == (wordy, "best")
    assert [reference.date for reference in again.references] == ["May June", None]
    assert from_values({"SETTINGS": "a=1;; b = x=y ;"}).settings == (("a", "1"), ("b", "x=y"))


def test_a_request_and_back(rich: Choices) -> None:
    built = build(rich)
    request = from_json(built.request)
    assert request.extent == "2.8,42.33,2.82,42.35"
    assert request.references[2].masks[0].kind == "none"
    again = from_request(request, QgsProject.instance())
    assert replace(again, extent=rich.extent) == rich
    assert again.extent.toRectF() == rich.extent.toRectF()
    built.remove()
    assert not Path(built.folder).exists()


def put_on(day: int, *layers: QgsRasterLayer) -> None:
    """Give layers the temporal range of a day in February 2020."""
    noon = QDateTime(QDate(2020, 2, day), QTime(12, 0), Qt.TimeSpec.UTC)
    for layer in layers:
        layer.temporalProperties().setFixedTemporalRange(QgsDateTimeRange(noon, noon))
        layer.temporalProperties().setIsActive(True)


def test_a_layers_day_is_its_date_unless_one_is_typed(layers: dict[str, QgsRasterLayer]) -> None:
    """Dates of layers whose names tell none, or another, were unknown or wrong."""
    put_on(3, layers["target"])
    put_on(8, layers["other"])
    others = (ReferenceChoice(layers["other"]), ReferenceChoice(layers["truth"]))
    choices = Choices(target=(layers["target"],), references=others, output="/somewhere/out.tif")
    request = asked(choices)
    assert request["date"] == "2020-02-03"
    assert [other["date"] for other in request["references"]] == ["2020-02-08", None]
    typed = tuple(replace(other, date="2020-01-28") for other in others)
    request = asked(replace(choices, references=typed, date="2020-01-13"))
    assert request["date"] == "2020-01-13"
    assert [other["date"] for other in request["references"]] == ["2020-01-28"] * 2
    several = replace(choices, target=(layers["target"], layers["mask"]), references=())
    assert asked(several)["date"] == "2020-02-03"
    put_on(9, layers["mask"])
    assert "date" not in asked(several), "its bands are of two days"


def asked(choices: Choices) -> dict[str, Any]:
    """The request that is built of choices."""
    built = build(choices)
    built.remove()
    return built.request


def test_only_what_was_chosen_stands_in_the_request(layers: dict[str, QgsRasterLayer]) -> None:
    built = build(Choices(target=(layers["target"],), output="/somewhere/out.tif"))
    assert set(built.request) == {"target", "output", "schema_version"}
    built.remove()


def test_an_extent_in_another_crs(layers: dict[str, QgsRasterLayer]) -> None:
    utm = QgsReferencedRectangle(
        QgsRectangle(484000, 4687000, 485000, 4688000), QgsCoordinateReferenceSystem("EPSG:32631")
    )
    built = build(Choices(target=(layers["target"],), output="/out.tif", extent=utm))
    west, south, east, north = (float(part) for part in built.request["extent"].split(","))
    assert 2.80 < west < east < 2.83
    assert 42.33 < south < north < 42.35
    built.remove()


def test_an_extent_in_a_crs_of_ones_own_keeps_it(layers: dict[str, QgsRasterLayer], provider: Any) -> None:
    """In the project, in the batch dialog and in the history; it has no code that could name it."""
    crs = QgsCoordinateReferenceSystem.fromProj("+proj=laea +lat_0=42.3 +lon_0=2.8 +datum=WGS84 +units=m")
    assert crs.isValid() and not crs.authid()
    box = QgsReferencedRectangle(QgsRectangle(-2000, 3000, 2000, 6000), crs)
    choices = Choices((layers["target"],), "out.tif", extent=box)
    wanted = build(choices).request["extent"]
    parameters = to_parameters(choices)
    algorithm = provider.algorithm("fillgaps").create()
    algorithm.initAlgorithm({})
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    repeated = replace(algorithm.choices(parameters, context), output="out.tif")
    for again in (from_parameters(parameters, QgsProject.instance()), repeated):
        assert build(again).request["extent"] == wanted


def test_an_extent_beside_a_product_whose_crs_qgis_does_not_know(qgis_new_project: None) -> None:
    box = QgsReferencedRectangle(BOX, QgsCoordinateReferenceSystem("EPSG:4326"))
    built = build(Choices(target=("/somewhere/S2A.SAFE",), output="/out.tif", extent=box))
    assert built.request["extent"].endswith(".gpkg")
    built.convert(QgsFeedback())
    assert Path(built.request["extent"]).exists()
    built.remove()


def test_a_file_is_the_layer_that_shows_it(qgis_new_project: None, tmp_path: Path) -> None:
    """QGIS names the layer in a GeoPackage, requests need not."""
    path = str(tmp_path / "drawn.gpkg")
    scratch, options = QgsVectorLayer("Polygon", "drawn", "memory"), QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(scratch, path, QgsCoordinateTransformContext(), options)
    layer = QgsVectorLayer(f"{path}|layername=drawn", "mine")
    QgsProject.instance().addMapLayer(layer)
    for text in (path, layer.source(), layer.id()):
        assert layer_of(text, QgsProject.instance()) is layer
    assert layer_of(f"{path}|layername=other", QgsProject.instance()) is None


def test_bad_choices_leave_no_folder(layers: dict[str, QgsRasterLayer], tmp_path: Path) -> None:
    from qgis.core import QgsProcessingUtils

    before = set(Path(QgsProcessingUtils.tempFolder()).iterdir())
    with pytest.raises(ChoiceError, match="^Widen by: 'far' is no distance such as 3px or 30m\\.$"):
        build(Choices(target=(layers["target"],), output="/out.tif", grow="far"))
    assert set(Path(QgsProcessingUtils.tempFolder()).iterdir()) == before


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"GAPS": ["a", "b", "c"], "GAPS_KIND": "scl;qa60"}, r"one for each mask \(3\)"),
        ({"REFERENCES": ["a", "b"], "REFERENCE_GAPS": ["m"]}, "2, of their masks 1"),
        ({"REFERENCES": ["a", "b"], "REFERENCE_DATES": "2020-01-01"}, "2, of their dates 1"),
        ({"SUN": "south"}, "azimuth and elevation"),
        ({"BANDS": "red"}, "counted from 1"),
        ({"SETTINGS": "fast"}, "fast is not KEY=VALUE"),
    ],
)
def test_lists_that_do_not_fit(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ChoiceError, match=sentence):
        from_values(values)
