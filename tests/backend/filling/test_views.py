"""Pictures of a sampler's steps: of the weight map and of the image, by the doors and as such."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import rasterio
from terramend.backend.errors import TerramendError
from terramend.backend.fill import fill
from terramend.backend.filling.views import Views, heat, png, sheet, write
from terramend.backend.request import FillRequest, Mask, request_hash
from terramend.backend.watch import Watch
from terramend.models.base import SamplerStep


def decoded(data: bytes) -> np.ndarray:
    """(3, H, W) RGB 0..255."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1].transpose(2, 0, 1)


def told(row: int, column: int, value: float, step: int = 0, band: int = -1, side: int = 6) -> SamplerStep:
    image = np.full((3, side, side), value, np.float32)
    return SamplerStep(band, step, row, column, image[0], image)


def test_overlaps_do_not_depend_on_the_order_of_tiles() -> None:
    parts = [told(0, 0, 0.2), told(0, 4, 0.4), told(4, 0, 0.6), told(4, 4, 0.8)]
    pictures = []
    for order in (parts, parts[::-1]):
        views = Views((12, 10))
        for part in order:
            views.add(part)
        pictures.append(decoded(views.trajectory()))
    assert np.array_equal(*pictures)
    levels = (pictures[0][0] / 255).round(1)
    assert levels.shape == (14, 12) and levels[0, 0] == 0.2 and levels[0, 5] == 0.2 and levels[0, 6] == 0.4
    assert levels[9, 9] == 0.8 and levels[11, 0] == 0.5  # nothing was told of the last rows


def test_long_scenes_are_thinned_and_long_runs_too() -> None:
    views = Views((600, 1000))  # every fourth pixel
    random = np.random.default_rng(0)
    whole = random.random((3, 600, 1000)).astype(np.float32)
    for row in range(0, 600, 150):
        for step in range(50):
            cut = whole[:, row : row + 150]
            views.add(SamplerStep(-1, step, row, 0, cut[0], cut))
    made = decoded(views.trajectory())
    assert made.shape == (3, 152, 10 * 252)
    assert np.abs(made[:, :150, :250] / 255 - whole[:, ::4, ::4]).max() < 0.003
    assert decoded(views.weights()).shape == made.shape


def test_bands_that_go_alone_have_rows_of_their_own() -> None:
    views = Views((6, 6))
    for band in (0, 2):
        for step in range(3):
            views.add(told(0, 0, 0.1 * (band + step), step, band))
    made = decoded(views.trajectory())[0]
    corners = made[::8, ::8] / 255
    assert np.allclose(corners, [[0, 0.1, 0.2], [0.2, 0.3, 0.4]], atol=0.003)


def test_colours_of_the_weight() -> None:
    blue, yellow = heat(np.array([[0, 1]], np.float32))[:, 0].T
    assert blue[2] > blue[0] and yellow[0] > yellow[2]
    assert sheet([np.zeros((3, 4, 5), np.float32)] * 3, 2).shape == (3, 12, 14)


def test_a_picture_is_whole_or_absent(tmp_path) -> None:
    write(png(np.zeros((3, 2, 2), np.float32)), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.fixture
def scene(tmp_path):
    """Red, green and blue land with twelve columns of gap."""
    rows, columns = np.mgrid[:40, :48]
    image = np.stack([800 + 300 * band + 5 * rows + 3 * columns for band in range(3)]).astype(np.uint16)
    mask = np.zeros((1, 40, 48), np.uint8)
    mask[0, 10:25, 20:32] = 1
    profile = {"driver": "GTiff", "height": 40, "width": 48, "crs": "EPSG:32633"}
    profile["transform"] = rasterio.transform.from_origin(5e5, 5e6, 10, 10)
    for name, data, bands in (("scene", image, ("B04", "B03", "B02")), ("mask", mask, ("mask",))):
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", count=len(data), dtype=data.dtype, **profile
        ) as sink:
            sink.write(data)
            sink.descriptions = bands
    return tmp_path


def request(folder, mode: str, **more: object) -> FillRequest:
    gaps = (Mask(str(folder / "mask.tif"), "nonzero"),) if mode == "fill" else ()
    given = {"model": "de", "quality": "fast", "radiometry": "sentinel2", **more}
    target, out = (str(folder / "scene.tif"),), str(folder / f"{mode}.tif")
    return FillRequest(target, out, mode, gaps, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["fill", "clear"])
def test_pictures_of_a_run(scene, mode) -> None:
    names = {"weights_map": str(scene / "w.png"), "trajectory": str(scene / "x.png")}
    asked = request(scene, mode, **names)
    assert request_hash(asked) == request_hash(request(scene, mode))  # pictures change no sample
    done = fill(asked, Watch())
    assert done.pictures == tuple(names.values())
    rows, weight = (3, 1)[mode == "clear"], decoded((scene / "w.png").read_bytes())
    image = decoded((scene / "x.png").read_bytes())
    assert weight.shape == image.shape == (3, rows * 42, 5 * 50)
    assert len(np.unique(image)) > 10 and len(np.unique(weight)) > 10
    with rasterio.open(done.outputs[0]) as source:
        first = source.read()
    for name in names.values():
        (scene / name).unlink()
    again = fill(request(scene, mode, overwrite=True), Watch())
    with rasterio.open(again.outputs[0]) as source:
        assert np.array_equal(source.read(), first) and again.pictures == ()
    assert not [path.name for path in scene.iterdir() if path.suffix == ".png" or path.name.startswith(".")]


def test_what_cannot_be_pictured_is_said_and_nothing_is_written(scene) -> None:
    before = sorted(scene.iterdir())
    for more, said in (
        ({"model": "harmonic", "weights_map": str(scene / "w.png")}, "harmonic has no steps to look at"),
        ({"trajectory": str(scene / "x.tif")}, "give it a name that ends in .png"),
        ({"trajectory": str(scene / "x.png"), "weights_map": str(scene / "x.png")}, "x.png"),
        ({"trajectory": str(scene / "no" / "x.png")}, "no"),
    ):
        with pytest.raises(TerramendError, match=said):
            fill(request(scene, "fill", **more), Watch())
        assert sorted(scene.iterdir()) == before
