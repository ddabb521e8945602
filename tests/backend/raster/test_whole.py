"""Files whose end is missing are told from whole ones, and a full disk at the end is no success."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioIOError
from terramend.backend.errors import TerramendError
from terramend.backend.raster import writer as module
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.metadata import BandMetadata, Metadata
from terramend.backend.raster.whole import check_whole
from terramend.backend.raster.writer import GeoTiffWriter

LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 256, "blockysize": 256},
    "strips": {},
    "one strip": {"blockysize": 300},
    "bands": {"tiled": True, "interleave": "band", "compress": "deflate"},
    "big": {"bigtiff": "YES", "compress": "lzw"},
    "big-endian": {"endianness": "BIG", "tiled": True},
    "cog": {"driver": "COG"},
}


@pytest.fixture(params=LAYOUTS)
def saved(request, tmp_path) -> Path:
    samples = np.random.default_rng(0).integers(0, 60_000, (2, 300, 301), np.uint16)
    path, profile = tmp_path / "a.tif", {"driver": "GTiff", **LAYOUTS[request.param]}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", width=301, height=300, count=2, dtype="uint16", **profile) as file,
    ):
        file.write(samples)
        file.write_mask(samples[0] > 9)
    if profile["driver"] == "GTiff":
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2])
    return path


def test_whole_files_pass(saved):
    check_whole(saved)


@pytest.mark.parametrize("share", [0, 0.00003, 0.001, 0.5, 0.99, 0.9998])
def test_a_file_that_is_cut_is_found(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RasterioIOError, match=r"end of a\.tif"):
        check_whole(saved)


def test_a_block_that_was_never_written_is_missing_unless_it_may(tmp_path):
    path = tmp_path / "a.tif"
    rasterio.open(
        path, "w", driver="GTiff", width=9, height=9, count=1, dtype="uint8", sparse_ok=True
    ).close()
    check_whole(path, sparse=True)
    with pytest.raises(RasterioIOError):
        check_whole(path)


def written(path: Path, options: dict[str, str]) -> GeoTiffWriter:
    """A file to be closed, of 180,000 bytes without overviews."""
    grid = Grid(None, (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), 300, 300)
    band = BandMetadata("", None, 1.0, 0.0, ColorInterp.gray, None, {})
    writer = GeoTiffWriter(path, grid, Metadata((band,), {}, "uint16", None, False, (), "band"), {}, options)
    for window in grid.blocks(256):
        samples = np.random.default_rng(1).integers(0, 60_000, (1, window.height, window.width), np.uint16)
        writer.write(window, samples)
    return writer


@pytest.mark.parametrize("options", [{}, {"OVERVIEWS": "YES"}, {"COG": "YES"}])
def test_a_disk_that_is_full_when_the_file_is_closed(tmp_path, options):
    resource = pytest.importorskip("resource", reason="Windows has no limit of a file's size")
    writer = written(tmp_path / "a.tif", options)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        with pytest.raises(TerramendError) as caught:
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        writer.abandon()
    assert caught.value.code == "output.write"


def test_overviews_are_not_trusted_where_the_disk_is_full(tmp_path, monkeypatch):
    """GDAL writes blanks first: an overview of which the pixels had no room looks whole."""
    monkeypatch.setattr(module, "is_full", lambda folder: True)
    written(tmp_path / "a.tif", {}).close()
    with pytest.raises(TerramendError) as caught:
        written(tmp_path / "b.tif", {"OVERVIEWS": "YES"}).close()
    assert caught.value.code == "output.full"
