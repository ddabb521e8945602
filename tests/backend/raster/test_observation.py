"""What counts as not observed: the same to who finds gaps and to who reads the image."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.masks.footprint import NodataReader
from terramend.backend.raster.raster import Band, Raster
from terramend.backend.raster.reader import RasterReader

from .makers import write

SPECIAL = {
    "uint8": (0, 255),
    "uint16": (0, 65535),
    "int16": (0, -9999),
    "float32": (0, -9999, np.nan, np.inf),
}


@given(
    dtype=st.sampled_from(sorted(SPECIAL)), nodata=st.sampled_from([None, 0, 255, 65535, -9999, np.nan]),
    zero_fill=st.booleans(), alpha=st.booleans(), stored=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_gaps_and_image_agree(dtype, nodata, zero_fill, alpha, stored, seed):
    random = np.random.default_rng(seed)
    image = random.choice([*SPECIAL[dtype], 7, 80, 120], (4, 24, 30)).astype(dtype)
    image[:, :4] = 0
    if nodata is not None and np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        nodata = nodata if limits.min <= nodata <= limits.max else None
    roles = ["optical"] * 3 + ["alpha" if alpha else "optical"]
    with tempfile.TemporaryDirectory() as folder, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(Path(folder) / "a.tif", image)
        if stored:
            with rasterio.open(path, "r+") as file:
                file.write_mask(random.random((24, 30)) > 0.2)
        bands = tuple(
            Band(path, i, "", role, 500.0, dtype, nodata, 1e-4, 0.0) for i, role in enumerate(roles, 1)
        )
        raster = Raster("a", Grid("", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), 30, 24), bands, zero_fill=zero_fill)
        window = Window(2, 3, 20, 25)
        with NodataReader(raster) as gaps, RasterReader(raster) as reader:
            shown = np.isnan(reader.reflectance(window))
            missing = gaps.read(window)
            if not gaps.possible:
                assert not shown[gaps.counted].any()
    np.testing.assert_array_equal(missing[gaps.counted], shown[gaps.counted])
