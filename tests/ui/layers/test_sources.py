"""What the backend gets for layers as analysts have them."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDateTimeRange,
    QgsFeature,
    QgsFeedback,
    QgsGeometry,
    QgsRasterLayer,
    QgsRasterLayerTemporalProperties,
    QgsRasterRange,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDateTime, Qt
from terramend.ui.layers.conversions import SourceError
from terramend.ui.layers.sources import BACKEND_DRIVERS, SourceMaker, day


@pytest.fixture
def maker(qgis_app: Any, tmp_path: Path) -> SourceMaker:
    return SourceMaker(str(tmp_path / "temporary"))


@pytest.fixture
def layer(qgis_app: Any, scene: dict[str, str]) -> QgsRasterLayer:
    return QgsRasterLayer(scene["target"], "a scene")


def polygons(kind: str = "Polygon") -> QgsVectorLayer:
    """A scratch layer with one feature."""
    made = QgsVectorLayer(f"{kind}?crs=EPSG:4326", "drawn by hand", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(2.8, 42.33, 2.81, 42.34)))
    made.dataProvider().addFeature(feature)
    return made


def exported(maker: SourceMaker, layer: QgsVectorLayer) -> str:
    """The path of polygons that QGIS has to write, written."""
    path = maker.polygons(layer)
    maker.conversions.pop().run(QgsFeedback())
    return path


def test_a_plain_layer_is_its_file(maker: SourceMaker, layer: QgsRasterLayer, scene: dict[str, str]) -> None:
    source = maker.target(layer)
    assert (source.path, source.crs, source.nodata) == (scene["target"], None, None)
    assert maker.raster(layer) == scene["target"]
    assert not maker.conversions and not Path(maker.folder).exists()


def test_crs_and_nodata_of_the_layer_go_with_the_target(maker: SourceMaker, layer: QgsRasterLayer) -> None:
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    layer.dataProvider().setUseSourceNoDataValue(1, False)
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(7, 7)])
    for band in range(2, 5):
        layer.dataProvider().setUseSourceNoDataValue(band, False)
    source = maker.target(layer)
    assert (source.path, source.crs, source.nodata) == (layer.source(), "EPSG:32631", 7)


def test_overrides_of_other_rasters_are_wrapped(maker: SourceMaker, layer: QgsRasterLayer) -> None:
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    path = maker.raster(layer)
    assert path.endswith("a_scene.vrt")
    wrapped = gdal.Open(path)
    assert "32631" in wrapped.GetProjection()
    assert wrapped.GetRasterBand(1).GetNoDataValue() == 0
    assert wrapped.ReadRaster() == gdal.Open(layer.source()).ReadRaster()


def test_a_nodata_value_of_another_raster_is_wrapped(maker: SourceMaker, layer: QgsRasterLayer) -> None:
    """The request can carry that of the target alone."""
    for band in range(1, 5):
        layer.dataProvider().setUseSourceNoDataValue(band, False)
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(7, 7)])
    assert gdal.Open(maker.raster(layer)).GetRasterBand(1).GetNoDataValue() == 7


@pytest.mark.parametrize("more", ["|option:NUM_THREADS=2", " authcfg='abcdefg'"])
def test_what_only_this_qgis_can_open_is_converted(
    maker: SourceMaker, scene: dict[str, str], more: str
) -> None:
    """By options of the layer, or by a login that QGIS keeps."""
    layer = QgsRasterLayer(scene["target"] + more, "of mine")
    assert layer.isValid()
    path = maker.raster(layer)
    maker.conversions[0].run(QgsFeedback())
    assert (gdal.Open(path).ReadAsArray() == gdal.Open(scene["target"]).ReadAsArray()).all()


@pytest.mark.parametrize("exceptions", [False, True])  # newer QGIS asks GDAL for them
def test_overrides_that_gdal_cannot_wrap_are_told(
    maker: SourceMaker, layer: QgsRasterLayer, monkeypatch: pytest.MonkeyPatch, exceptions: bool
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        if exceptions:
            raise RuntimeError("no room")

    monkeypatch.setattr(gdal, "Translate", fail)
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:25831"))
    with pytest.raises(SourceError, match="The layer a scene cannot be read"):
        maker.raster(layer)


def test_a_nodata_value_that_was_switched_off_is_gone(maker: SourceMaker, layer: QgsRasterLayer) -> None:
    for band in range(1, 5):
        layer.dataProvider().setUseSourceNoDataValue(band, False)
    source = maker.target(layer)
    wrapped = gdal.Open(source.path)
    assert wrapped.GetRasterBand(1).GetNoDataValue() is None


def test_several_nodata_values_are_converted(maker: SourceMaker, layer: QgsRasterLayer) -> None:
    value = layer.dataProvider().sample(layer.extent().center(), 1)[0]
    for band in range(1, 5):
        layer.dataProvider().setUserNoDataValue(band, [QgsRasterRange(value, value)])
    source = maker.target(layer)
    assert [c.path for c in maker.conversions] == [source.path]
    maker.conversions[0].run(QgsFeedback())
    made, original = gdal.Open(source.path), gdal.Open(layer.source())
    assert (made.RasterXSize, made.RasterYSize) == (original.RasterXSize, original.RasterYSize)
    nodata = made.GetRasterBand(1).GetNoDataValue()
    was = original.GetRasterBand(1).ReadAsArray()
    now = made.GetRasterBand(1).ReadAsArray()
    assert ((now == nodata) == ((was == 0) | (was == value))).all()
    assert (now[now != nodata] == was[now != nodata]).all()


@pytest.mark.filterwarnings("error::DeprecationWarning")  # newer QGIS would show it in a panel of its own
def test_what_only_qgis_reads_is_converted(maker: SourceMaker, layer: QgsRasterLayer, computed: Any) -> None:
    doubled = computed(layer, 2)
    assert doubled.isValid()
    path = maker.raster(doubled)
    maker.conversions[0].run(QgsFeedback())
    now, was = gdal.Open(path).ReadAsArray(), gdal.Open(layer.source()).ReadAsArray()[0]
    valid = was > 0
    nodata = gdal.Info(path, format="json")["bands"][0]["noDataValue"]
    assert (np.isnan(now[~valid]) | (now[~valid] == nodata)).all()  # NaN in newer versions
    assert (now[valid] == 2.0 * was[valid]).all()


def test_pictures_are_refused(maker: SourceMaker) -> None:
    tiles = QgsRasterLayer("type=xyz&url=https://example.invalid/{z}/{x}/{y}.png", "street map", "wms")
    with pytest.raises(SourceError, match=r"street map is a picture .* use the raster file itself"):
        maker.target(tiles)


def test_a_broken_layer_is_named(maker: SourceMaker, tmp_path: Path) -> None:
    gone = QgsRasterLayer(str(tmp_path / "gone.tif"), "gone")
    with pytest.raises(
        SourceError, match="gone is broken: QGIS cannot open .*gone.tif; repair its data source, or"
    ):
        maker.raster(gone)
    gone = QgsVectorLayer(str(tmp_path / "gone.gpkg"), "gone", "ogr")
    with pytest.raises(SourceError, match=r"gone is broken: QGIS cannot open .*gone\.gpkg"):
        maker.polygons(gone)


def test_what_needs_credentials_of_the_layer_is_converted(maker: SourceMaker, scene: dict[str, str]) -> None:
    """QGIS 3.40 and later keep those of a cloud's storage in the layer's source."""
    layer = QgsRasterLayer(f"{scene['target']}|credential:AWS_REGION=eu-north-1", "of a bucket")
    if not layer.isValid():
        pytest.skip("this QGIS knows no credentials in a layer's source")
    path = maker.raster(layer)
    maker.conversions[0].run(QgsFeedback())
    now, was = gdal.Open(path).ReadAsArray(), gdal.Open(scene["target"]).ReadAsArray()
    assert (now == was).all()


def test_what_is_said_of_a_layer_holds_no_password(maker: SourceMaker) -> None:
    database = "PG: dbname='x' host=127.0.0.1 port=9 user='me' password='secret' table='r'"
    with pytest.raises(SourceError, match="user='me'") as refused:
        maker.raster(QgsRasterLayer(database, "of a database"))
    assert "secret" not in str(refused.value)
    bucket = QgsRasterLayer("/vsis3/bucket/gone.tif|credential:AWS_SECRET_ACCESS_KEY=secret", "of a bucket")
    with pytest.raises(SourceError, match=r"/vsis3/bucket/gone\.tif; repair") as refused:
        maker.raster(bucket)
    assert "secret" not in str(refused.value)


def test_subdatasets_and_archives_keep_their_names(
    maker: SourceMaker, scene: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / "scene.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(scene["target"], "scene.tif")
    package = tmp_path / "two.gpkg"
    byte = gdal.Translate("/vsimem/byte.tif", scene["target"], outputType=gdal.GDT_Byte, bandList=[1])
    for table in ("one", "two"):
        options = [f"RASTER_TABLE={table}", "APPEND_SUBDATASET=YES"]
        gdal.Translate(str(package), byte, format="GPKG", creationOptions=options)
    for name in (f"/vsizip/{archive}/scene.tif", f"GPKG:{package}:two"):
        layer = QgsRasterLayer(name, "sub")
        assert layer.isValid()
        assert maker.raster(layer) == name
    assert not maker.conversions


def test_scratch_and_filtered_polygons_are_exported(maker: SourceMaker, tmp_path: Path) -> None:
    scratch = polygons()
    path = exported(maker, scratch)
    saved = QgsVectorLayer(path, "saved")
    assert saved.featureCount() == 1
    assert saved.crs().authid() == "EPSG:4326"
    assert maker.polygons(saved).split("|")[0] == path
    saved.setSubsetString("fid > 5")
    assert QgsVectorLayer(exported(maker, saved), "filtered").featureCount() == 0


def test_polygons_are_exported_as_they_were_when_asked_for(maker: SourceMaker) -> None:
    """In a thread, as many of them take seconds: meanwhile the layer is edited on, and removed."""
    scratch = polygons()
    scratch.startEditing()
    scratch.addFeature(next(scratch.getFeatures()))
    path = maker.polygons(scratch)
    assert not Path(path).exists()
    scratch.addFeature(next(scratch.getFeatures()))
    sip.delete(scratch)
    maker.conversions[0].run(QgsFeedback())
    assert QgsVectorLayer(path, "saved").featureCount() == 2


def test_what_a_layer_of_polygons_says_beyond_its_file_goes_along(maker: SourceMaker) -> None:
    """Its CRS, and edits that are not saved yet."""
    saved = QgsVectorLayer(exported(maker, polygons()), "saved")
    file = maker.polygons(saved)
    saved.setCrs(QgsCoordinateReferenceSystem("EPSG:4258"))
    assert QgsVectorLayer(exported(maker, saved), "elsewhere").crs().authid() == "EPSG:4258"
    saved.setCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    assert maker.polygons(saved) == file and not maker.conversions
    saved.startEditing()
    saved.deleteFeature(1)
    assert QgsVectorLayer(exported(maker, saved), "edited").featureCount() == 0
    saved.rollBack()


@pytest.mark.parametrize(
    "part", ["CurvePolygon (CircularString (0 1,1 2,2 1,1 0,0 1))", "((0 0,2 0,2 2,0 2,0 0))"]
)
def test_curves_are_made_straight(maker: SourceMaker, tmp_path: Path, part: str) -> None:
    """The backend knows none; saved as a GeoPackage they stay what they are."""
    round_ = QgsVectorLayer("MultiSurface?crs=EPSG:4326", "round", "memory")
    for wkt in (f"MultiSurface ({part})", ""):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        round_.dataProvider().addFeature(feature)
    file, options = str(tmp_path / "round.gpkg"), QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(round_, file, QgsCoordinateTransformContext(), options)
    for layer in (round_, QgsVectorLayer(file, "of a file")):
        assert QgsWkbTypes.displayString(layer.wkbType()) == "MultiSurface"
        saved = QgsVectorLayer(exported(maker, layer), "saved")
        first = next(saved.getFeatures()).geometry()
        assert first.area() == pytest.approx(next(layer.getFeatures()).geometry().area(), rel=0.001)
        assert QgsWkbTypes.displayString(first.wkbType()) == "MultiPolygon"


@pytest.mark.parametrize("letter", ["x", "影"])
def test_a_long_name_is_no_hindrance(maker: SourceMaker, layer: QgsRasterLayer, letter: str) -> None:
    """A file's name takes 255 bytes."""
    layer.setName("2020-01-13" + 300 * letter + "hole")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    path = Path(maker.raster(layer))
    assert path.name.startswith("2020-01-13") and path.name.endswith("hole.vrt") and path.is_file()
    drawn = polygons()
    drawn.setName(layer.name())
    assert Path(exported(maker, drawn)).is_file()


@pytest.mark.parametrize(
    ("name", "stem"), [("con", "_con"), ("AUX.2020", "_AUX.2020"), ("lpt1", "_lpt1"), ("console", "console")]
)
def test_a_device_of_windows_is_no_file(maker: SourceMaker, name: str, stem: str) -> None:
    drawn = polygons()
    drawn.setName(name)
    assert Path(maker.polygons(drawn)).name == f"{stem}.gpkg"


def test_points_are_no_polygons(maker: SourceMaker) -> None:
    with pytest.raises(SourceError, match="holds no polygons"):
        maker.polygons(QgsVectorLayer("Point?crs=EPSG:4326", "wells", "memory"))


def test_the_backend_has_these_drivers(backend_python: str) -> None:
    code = "import rasterio; print(*rasterio.Env().__enter__().drivers())"
    found = subprocess.run([backend_python, "-c", code], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) >= BACKEND_DRIVERS


def test_a_file_that_is_gone_is_refused(maker: SourceMaker, scene: dict[str, str]) -> None:
    for name in ("target", "mask"):
        layer = QgsRasterLayer(scene[name], "was here")
        Path(scene[name]).unlink()
        assert layer.isValid()  # QGIS has not noticed
        for read in (maker.target, maker.raster):
            with pytest.raises(SourceError, match=f"was here cannot be read: {scene[name]} is gone"):
                read(layer)
    assert not maker.conversions


def test_a_mosaic_without_a_file_gets_one(maker: SourceMaker, scene: dict[str, str], tmp_path: Path) -> None:
    gdal.Translate(str(tmp_path / "mosaic.vrt"), scene["target"], format="VRT")
    text = (tmp_path / "mosaic.vrt").read_text()
    source = text[text.index("<SourceFilename") :].partition("</SourceFilename>")[0]
    whole = text.replace(source, f'<SourceFilename relativeToVRT="0">{scene["target"]}')
    layer = QgsRasterLayer(whole, "inline")
    assert layer.isValid()
    path = maker.target(layer).path
    assert path.endswith("inline.vrt") and not maker.conversions
    assert gdal.Open(path).ReadRaster() == gdal.Open(scene["target"]).ReadRaster()


def test_what_lies_in_the_memory_of_qgis_is_converted(maker: SourceMaker, scene: dict[str, str]) -> None:
    gdal.Translate("/vsimem/in_memory.tif", scene["target"])
    path = maker.raster(QgsRasterLayer("/vsimem/in_memory.tif", "in memory"))
    maker.conversions[0].run(QgsFeedback())
    assert gdal.Open(path).ReadRaster() == gdal.Open(scene["target"]).ReadRaster()
    gdal.Unlink("/vsimem/in_memory.tif")


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        ("2020-01-13T00:00:00Z", "2020-01-13T23:59:59Z", "2020-01-13"),
        ("2020-01-13T00:00:00Z", "2020-01-14T00:00:00Z", "2020-01-13"),
        ("2020-01-13T00:00:00Z", "2020-01-13T00:00:00Z", "2020-01-13"),
        ("2020-01-13T10:50:00", "2020-01-13T10:51:00", "2020-01-13"),
        ("2020-01-13T00:00:00Z", "2020-01-14T00:00:01Z", None),
        ("2020-01-13T00:00:00Z", "", None),
        ("", "2020-01-13T00:00:00Z", None),
        ("", "", None),
    ],
)
def test_a_layers_temporal_range_of_one_day_is_its_date(
    layer: QgsRasterLayer, begin: str, end: str, found: str | None
) -> None:
    assert day(layer) is None and day(layer.source()) is None
    times = layer.temporalProperties()
    iso = Qt.DateFormat.ISODate
    times.setFixedTemporalRange(
        QgsDateTimeRange(QDateTime.fromString(begin, iso), QDateTime.fromString(end, iso))
    )
    assert day(layer) is None, "it is switched off"
    times.setIsActive(True)
    assert day(layer) == found
    modes = QgsRasterLayerTemporalProperties
    for mode in (modes.ModeTemporalRangeFromDataProvider, modes.ModeRedrawLayerOnly):
        times.setMode(mode)
        assert day(layer) is None
