"""The written GeoTIFF: what it keeps of its target, and that its bytes depend on the pixels alone."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.metadata import read_metadata
from terramend.backend.raster.raster import Band, Raster
from terramend.backend.raster.writer import GeoTiffWriter, parse_options

UTM = rasterio.crs.CRS.from_epsg(32633).to_wkt()
XMP = '<?xpacket begin="" id="x"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><a>b</a></x:xmpmeta>'


def grid(height=300, width=301) -> Grid:
    return Grid(UTM, (10.0, 0.0, 300000.0, 0.0, -10.0, 5000000.0), width, height)


def raster_of(path: Path) -> Raster:
    with rasterio.open(path) as source:
        bands = tuple(
            Band(str(path), i, source.descriptions[i - 1] or "", "optical", float("nan"),
                 source.dtypes[i - 1], source.nodatavals[i - 1], 1.0, 0.0)
            for i in source.indexes
        )  # fmt: skip
        wkt = source.crs.to_wkt() if source.crs else None
        return Raster(path.name, Grid(wkt, tuple(source.transform)[:6], source.width, source.height), bands)


def make(path: Path, samples: np.ndarray, decorate=None, **profile) -> Path:
    count, height, width = samples.shape
    base = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": samples.dtype.name}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        where = {"crs": UTM, "transform": grid().affine}
        with rasterio.open(path, "w", **{**base, **where, **profile}) as output:
            if decorate:
                decorate(output)
            output.write(samples)
    return path


def copy(source: Path, path: Path, core: int = 256, options=(), tags=None, mask=None, threads=1) -> Path:
    raster = raster_of(source)
    with rasterio.open(source) as data:
        samples = data.read()
    writer = GeoTiffWriter(
        path, raster.grid, read_metadata(raster), tags or {}, parse_options(options), threads
    )
    for window in raster.grid.blocks(core):
        part = samples[(..., *window.slices)]
        writer.write(window, part, None if mask is None else mask[window.slices])
    writer.close()
    return path


def noise(dtype: str, shape=(3, 300, 301), seed=0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) * 250).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_pixels_and_profile_are_kept(tmp_path, dtype, count, interleave):
    samples = noise(dtype, (count, 300, 301))
    source = make(tmp_path / "in.tif", samples, nodata=7, interleave=interleave)
    with rasterio.open(copy(source, tmp_path / "out.tif")) as out, rasterio.open(source) as target:
        np.testing.assert_array_equal(out.read(), samples)
        for key in ("dtype", "nodata", "crs", "transform", "count", "width", "height"):
            assert out.profile[key] == target.profile[key], key
        assert out.profile["tiled"] and out.profile["compress"] == "deflate"
        if count > 1:
            assert out.profile["interleave"] == interleave
        assert out.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == ("3" if dtype == "float32" else "2")


def test_names_scales_units_colours_and_tags_are_kept_and_statistics_dropped(tmp_path):
    def decorate(output):
        output.descriptions = ("blue", "", "cover")
        output.scales, output.offsets = (1e-4, 1e-4, 1.0), (-0.1, 0.0, 0.0)
        output.units = ("1", "", "class")
        output.colorinterp = [ColorInterp.blue, ColorInterp.undefined, ColorInterp.alpha]
        output.update_tags(AREA_OR_POINT="Point", TIFFTAG_DATETIME="2024:06:30 10:00:00", sensor="MSI")
        output.update_tags(ns="ACQUISITION", cloud="3")
        output.update_tags(ns="xml:XMP", **dict([XMP.split("=", 1)]))
        output.update_tags(1, wavelength="490", STATISTICS_MEAN="99", ns=None)
        output.update_tags(2, ns="LAB", quality="good")
        output.update_tags(TERRAMEND_SEED="4", STATISTICS_MAXIMUM="9")

    source = make(tmp_path / "in.tif", noise("uint16"), decorate)
    with rasterio.open(source) as target:  # the XMP packet really is in the input
        assert target.tags(ns="xml:XMP")["xml:XMP"] == XMP
    with rasterio.open(copy(source, tmp_path / "out.tif", tags={"TERRAMEND_SEED": "5"})) as out:
        assert out.descriptions == ("blue", None, "cover")
        assert out.scales == (1e-4, 1e-4, 1.0) and out.offsets == (-0.1, 0.0, 0.0)
        assert out.units[0] == "1" and out.units[2] == "class"
        assert out.colorinterp == (ColorInterp.blue, ColorInterp.undefined, ColorInterp.alpha)
        assert out.tags() == {
            "AREA_OR_POINT": "Point",
            "TIFFTAG_DATETIME": "2024:06:30 10:00:00",
            "sensor": "MSI",
            "TERRAMEND_SEED": "5",
        }
        assert out.tags(ns="ACQUISITION") == {"cloud": "3"}
        assert out.tags(1) == {"wavelength": "490"}
        assert out.tags(2, ns="LAB") == {"quality": "good"}
        assert out.tags(ns="xml:XMP")["xml:XMP"] == XMP
        assert out.transform == grid().affine
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.tif", "out.tif"]  # no sidecars


def test_a_colour_table_is_kept(tmp_path):
    def decorate(output):
        output.write_colormap(1, {0: (0, 0, 0, 255), 4: (10, 200, 30, 255)})

    source = make(tmp_path / "in.tif", noise("uint8", (1, 40, 40)), decorate)
    with rasterio.open(copy(source, tmp_path / "out.tif")) as out:
        assert out.colorinterp == (ColorInterp.palette,)
        assert out.colormap(1)[4] == (10, 200, 30, 255)


@pytest.mark.parametrize("cog", [False, True])
def test_a_mask_of_its_own_is_kept_inside_the_file(tmp_path, cog):
    def decorate(output):
        output.write_mask(np.arange(300 * 301).reshape(300, 301) % 3 > 0)

    source = make(tmp_path / "in.tif", noise("uint8"), decorate)
    assert read_metadata(raster_of(source)).has_mask
    mask = np.zeros((300, 301), bool)
    mask[5:80] = True
    path = copy(source, tmp_path / "out.tif", mask=mask, options=["COG=YES"] if cog else [])
    with rasterio.open(path) as out:
        np.testing.assert_array_equal(out.dataset_mask() > 0, mask)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.tif", "out.tif"]


def test_overviews_come_back_where_the_target_had_them(tmp_path):
    source = make(tmp_path / "in.tif", noise("uint16", (2, 600, 600)), tiled=True)
    with rasterio.open(source, "r+") as target:
        target.build_overviews([2, 4])
    with rasterio.open(copy(source, tmp_path / "out.tif")) as out:
        assert out.overviews(1) == [2, 4] and out.overviews(2) == [2, 4]
        coarse = out.read(1, out_shape=(300, 300))
        fine = out.read(1).reshape(300, 2, 300, 2).mean(axis=(1, 3))
        assert np.abs(coarse - fine).max() <= 1


def test_cog_on_request(tmp_path):
    samples = noise("uint16", (2, 700, 900))
    source = make(tmp_path / "in.tif", samples, lambda o: o.update_tags(sensor="MSI"))
    options = ["COG=YES", "ZLEVEL=3", "PREDICTOR=2", "INTERLEAVE=BAND"]
    with rasterio.open(copy(source, tmp_path / "out.tif", options=options, tags={"A": "1"})) as out:
        assert out.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and out.overviews(1)
        np.testing.assert_array_equal(out.read(), samples)
        assert out.tags()["sensor"] == "MSI" and out.tags()["A"] == "1"


@pytest.mark.parametrize("own", [False, True])
def test_a_cog_keeps_tags_of_all_domains(tmp_path, own, caplog):
    of_band = {"wavelength": "490", "note": 'a < b & "c"; domain="TERRAMEND_PLAIN" \u00b5m'}

    def decorate(output):
        output.update_tags(sensor="MSI")
        output.update_tags(ns="ACQUISITION", cloud="3")
        output.update_tags(1, ns="LAB", quality="good")
        if own:
            output.update_tags(2, **of_band)

    source = make(tmp_path / "in.tif", noise("uint16", (2, 700, 900)), decorate)
    with rasterio.open(copy(source, tmp_path / "out.tif", options=["COG=YES"])) as out:
        assert out.tags()["sensor"] == "MSI"
        assert out.tags(1) == {} and out.tags(2) == (of_band if own else {})
        assert out.tags(ns="ACQUISITION") == {"cloud": "3"}
        assert out.tags(1, ns="LAB") == {"quality": "good"}
        assert out.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert "TERRAMEND_PLAIN" not in out.tag_namespaces(2)
        np.testing.assert_array_equal(out.read(), noise("uint16", (2, 700, 900)))
    assert not caplog.records  # as of options that GDAL does not know


def test_rotated_and_missing_georeference(tmp_path):
    rotated = rasterio.Affine(8.0, 3.0, 1e5, 3.0, -8.0, 4e6)
    source = make(tmp_path / "in.tif", noise("uint8"), transform=rotated)
    with rasterio.open(copy(source, tmp_path / "out.tif")) as out:
        assert out.transform == rotated
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        source = make(tmp_path / "none.tif", noise("uint8"), crs=None, transform=None)
        with rasterio.open(copy(source, tmp_path / "out2.tif")) as out:
            assert out.crs is None and out.transform == rasterio.Affine.identity()


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_bytes_depend_on_neither_threads_nor_gdals_cache(tmp_path, interleave):
    """Also with a mask band, and while other readers fill GDAL's cache."""

    def decorate(output):
        output.write_mask(np.ones((1100, 1300), bool))

    samples = noise("uint16", (3, 1100, 1300))
    source = make(tmp_path / "in.tif", samples, decorate, interleave=interleave, tiled=True)
    sums = set()
    for number, threads in enumerate((1, 3)):
        path = tmp_path / f"out{number}.tif"
        raster = raster_of(source)
        writer = GeoTiffWriter(path, raster.grid, read_metadata(raster), {}, {}, threads)
        with rasterio.open(source) as other:
            for window in raster.grid.blocks(512):
                part = samples[(..., *window.slices)]
                writer.write(window, part, part[0] > 90)
                if number:  # what another thread's reading does to the cache
                    other.read()
        writer.close()
        sums.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(sums) == 1


def test_options_that_would_change_pixels_or_layout_are_refused():
    assert parse_options(["compress=zstd", "ZSTD_LEVEL=3"]) == {"COMPRESS": "zstd", "ZSTD_LEVEL": "3"}
    for option, code in (
        ("COMPRESS=JPEG", "output.lossy"),
        ("COMPRESS=ZIPPO", "output.value"),
        ("TFW=YES", "output.option"),
        ("ZLEVEL=99", "output.value"),
        ("ZSTD_LEVEL=high", "output.value"),
    ):
        with pytest.raises(TerramendError) as caught:
            parse_options([option])
        assert caught.value.code == code


def test_deflate_is_quick_where_nobody_asks_for_small(tmp_path):
    flat = np.kron(noise("uint16", (1, 40, 40)), np.ones((1, 8, 8), np.uint16))
    source = make(tmp_path / "in.tif", flat)
    options = ([], ["ZLEVEL=1"], ["ZLEVEL=9"])
    quick, said, small = (
        copy(source, tmp_path / f"{number}.tif", options=option).read_bytes()
        for number, option in enumerate(options)
    )
    assert quick == said and len(small) < len(quick)


@pytest.mark.parametrize("compress", ["LZW", "ZSTD", "NONE", "LZMA", "PACKBITS"])
def test_other_lossless_compressions(tmp_path, compress):
    samples = noise("int16", (2, 70, 80))
    source = make(tmp_path / "in.tif", samples)
    with rasterio.open(copy(source, tmp_path / "o.tif", options=[f"COMPRESS={compress}"])) as out:
        np.testing.assert_array_equal(out.read(), samples)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_predictor_of_floats_serves_where_it_can(tmp_path, dtype):
    samples = noise(dtype, (2, 70, 80))
    source = make(tmp_path / "in.tif", samples)
    with rasterio.open(copy(source, tmp_path / "o.tif", options=["PREDICTOR=3"])) as out:
        np.testing.assert_array_equal(out.read(), samples)


def test_bands_of_different_files_and_dtypes(tmp_path):
    """A product of single-band files: the output's dtype holds all values, names come from the product."""
    first = make(tmp_path / "B02.tif", noise("uint16", (1, 30, 30)), lambda o: o.update_tags(a="1", b="2"))
    second = make(tmp_path / "SCL.tif", noise("uint8", (1, 30, 30)), lambda o: o.update_tags(a="1", b="3"))
    bands = tuple(
        Band(str(path), 1, name, "optical", float("nan"), dtype, nodata, 1.0, 0.0)
        for path, name, dtype, nodata in ((first, "B02", "uint16", 0.0), (second, "SCL", "uint8", None))
    )
    kept = read_metadata(Raster("product", raster_of(first).grid, bands))
    assert kept.dtype == "uint16" and kept.nodata == 0
    fraction = replace(bands[0], nodata=0.5)  # which no whole number is
    assert read_metadata(Raster("product", raster_of(first).grid, (fraction, bands[1]))).nodata is None
    assert [band.description for band in kept.bands] == ["B02", "SCL"]
    assert kept.tags[""] == {"a": "1", "AREA_OR_POINT": "Area"}


def test_a_failing_write_is_our_sentence(tmp_path):
    source = make(tmp_path / "in.tif", noise("uint8", (1, 30, 30)))
    with pytest.raises(TerramendError) as caught:
        copy(source, tmp_path / "absent" / "out.tif")
    assert caught.value.code == "output.write"
