"""A preview is the fill of a window, every n-th pixel of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from terramend.backend.errors import TerramendError
from terramend.backend.preview import preview
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch

SIZE = 240


@pytest.fixture
def request_(tmp_path: Path) -> FillRequest:
    """Two dates of a smooth place, the first with a hole."""
    row, column = np.mgrid[0:SIZE, 0:SIZE]
    truth = np.stack([2000 + 5 * row + 3 * column, 1500 + 4 * column]).astype(np.uint16)
    hole = (row > 100) & (row < 140) & (column > 90) & (column < 150)
    images = {"2024-06-01": truth.copy(), "2024-06-11": (truth * 0.9 + 100).astype(np.uint16), "mask": hole}
    images["2024-06-01"][:, hole] = 9000
    for name, image in images.items():
        image = np.atleast_3d(image.astype(np.uint16).T).T
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", width=SIZE, height=SIZE, count=len(image),
            dtype="uint16", crs="EPSG:32631", transform=from_origin(500000, 4600000, 10, 10),
        ) as file:  # fmt: skip
            file.write(image)
            file.descriptions = tuple(f"B{i + 2}" for i in range(len(image)))
    return FillRequest(
        (str(tmp_path / "2024-06-01.tif"),),
        str(tmp_path / "preview.tif"),
        gaps=(Mask(str(tmp_path / "mask.tif"), "nonzero"),),
        references=(Reference(str(tmp_path / "2024-06-11.tif"), (Mask("", "none"),)),),
        grow="0px",
        overwrite=True,
    )


def test_every_nth_pixel_of_the_extent(request_: FillRequest) -> None:
    west, south, east, north = 500600, 4598200, 501800, 4599400  # 120 x 120 pixels
    asked = replace(request_, extent=f"{west},{south},{east},{north}")
    result = preview(asked, Watch(), 60)
    with rasterio.open(request_.target[0]) as source, rasterio.open(result.outputs[0]) as made:
        assert made.shape == (60, 60)
        assert tuple(made.bounds) == (west, south, east, north)
        assert made.descriptions == source.descriptions
        image, full = made.read(), source.read()[:, 60:180, 60:180]
        with rasterio.open(request_.gaps[0].path) as mask:
            hole = mask.read(1)[60:180, 60:180] > 0
    kept = [full[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    outside = ~np.array([hole[i::2, j::2] for i in (0, 1) for j in (0, 1)]).any(axis=0)
    same = [np.array_equal(image[:, outside], part[:, outside]) for part in kept]
    assert any(same)
    assert image.max() < 9000  # the cloud is gone
    assert result.gap_fraction == pytest.approx(hole.mean(), rel=0.15)


def test_whole_scene_at_full_size_is_a_fill(request_: FillRequest) -> None:
    from terramend.backend.fill import fill

    small = preview(request_, Watch(), SIZE)
    whole = fill(replace(request_, output=request_.output.replace("preview", "whole")), Watch())
    with rasterio.open(small.outputs[0]) as one, rasterio.open(whole.outputs[0]) as other:
        assert np.array_equal(one.read(), other.read())
    assert not list(Path(request_.output).parent.glob("*.tmp*"))


def test_beside_the_target(request_: FillRequest) -> None:
    with pytest.raises(TerramendError) as error:
        preview(replace(request_, extent="0,0,10,10"), Watch())
    assert error.value.code == "extent.apart"
    assert not Path(request_.output).exists()


def bare(request_: FillRequest) -> FillRequest:
    """The same rasters without any georeference."""
    for path in (request_.target[0], request_.gaps[0].path, request_.references[0].path):
        with rasterio.open(path) as file:
            image, names = file.read(), file.descriptions
        with rasterio.open(
            path, "w", driver="GTiff", width=SIZE, height=SIZE, count=len(image), dtype="uint16"
        ) as file:
            file.write(image)
            file.descriptions = names
    return request_


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("extent", [None, "60,60,180,180", "60,-180,180,-60"])
def test_rasters_that_lie_nowhere(request_: FillRequest, extent: str | None) -> None:
    """A mask without CRS pairs with the whole target; QGIS shows such rows as negative."""
    result = preview(replace(bare(request_), extent=extent), Watch(), 60)
    with rasterio.open(result.outputs[0]) as made, rasterio.open(request_.gaps[0].path) as mask:
        assert made.shape == (60, 60)
        assert made.read().max() < 9000
        hole = mask.read(1) > 0
    hole = hole if extent is None else hole[60:180, 60:180]
    assert result.gap_fraction == pytest.approx(hole.mean(), rel=0.15)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("placed", [True, False])
def test_usual_growth_is_that_of_the_fill(request_: FillRequest, placed: bool) -> None:
    """Cloud probability grows by three pixels of the mask, however coarse the preview is."""
    asked = replace(request_ if placed else bare(request_), grow=None, cloud_threshold=1)
    asked = replace(asked, gaps=(Mask(asked.gaps[0].path, "cloudprob"),))
    shares = [preview(asked, Watch(), side).gap_fraction for side in (SIZE, SIZE // 3, SIZE // 6)]
    assert shares[0] > 1.15 * 39 * 59 / SIZE**2
    assert shares[1:] == pytest.approx(shares[:1] * 2, rel=0.12)
