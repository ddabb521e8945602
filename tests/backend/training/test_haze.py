"""Made pairs: thin cloud over clear patches."""

import cv2
import numpy as np
import pytest
import rasterio
from terramend.backend.errors import TerramendError
from terramend.backend.training import haze
from terramend.backend.training.patches import Bank, clear_bank
from terramend.models.ddpm.model import RGB
from terramend.models.diffusion.scaling import reflected


def bank() -> Bank:
    random = np.random.default_rng(0)
    images = [random.uniform(0.02, 0.3, (3, 40, 50)).astype(np.float32) for _ in range(3)]
    return Bank(("a", "b", "c"), (2000,) * 3, lambda index: images[index])


def test_a_layer_brightens_dark_land_and_hides_contrast():
    clear = bank().read(0)[:, :40, :40]
    brighter, flatter = 0, 0
    for seed in range(20):
        cloudy = haze.veiled(clear, RGB, np.random.default_rng(seed))
        assert cloudy.shape == clear.shape and cloudy.dtype == np.float32
        assert cloudy.min() >= 0 and cloudy.max() <= 1
        assert (cloudy >= clear - 1e-6).all()  # light is brighter than this land
        brighter += cloudy.mean() > clear.mean() + 0.02
        flatter += np.corrcoef(cloudy[0].ravel(), clear[0].ravel())[0, 1] < 0.95
    assert brighter > 10 and flatter > 10


def test_haze_is_thicker_in_blue():
    clear = np.zeros((3, 64, 64), np.float32)  # over black land only the layer is seen
    shades = np.mean([haze.veiled(clear, RGB, np.random.default_rng(s)).mean((1, 2)) for s in range(60)], 0)
    assert shades[2] > shades[1] > shades[0]


def test_fractal_noise_is_standard_and_smoother_with_its_power():
    fields = [haze.fractal(np.random.default_rng(3), 64, power) for power in (0.5, 2.5)]
    for field in fields:
        assert field.shape == (64, 64)
        assert field.mean() == pytest.approx(0, abs=1e-9) and field.std() == pytest.approx(1)
    steps = [np.abs(np.diff(field)).mean() for field in fields]
    assert steps[1] < 0.5 * steps[0]


def test_draws_mix_real_and_made_pairs_and_depend_on_the_step_alone():
    def real(seed, step, count, size, shrink=1):
        made = np.full((count, 3, size, size), 0.5, np.float32)
        return made, made, np.ones((count, 1, size, size), bool)

    draw = haze.mixed(real, bank().draw, 0.5, RGB)
    cloudy, clear, known = draw(1, 2, 40, 16, 2)
    assert cloudy.shape == clear.shape == (40, 3, 16, 16) and known.all()
    given = (clear == 0.5).all((1, 2, 3))
    assert 8 < given.sum() < 32
    assert reflected(clear[~given]).mean() == pytest.approx(0.16, abs=0.03)
    for first, again in zip(draw(1, 2, 40, 16, 2), draw(1, 2, 40, 16, 2), strict=True):
        assert np.array_equal(first, again)
    assert not np.array_equal(cloudy, draw(1, 3, 40, 16, 2)[0])


def test_only_made_pairs_need_no_real_ones(tmp_path):
    part = {"wavelengths": RGB, "haze": 1.0}
    with pytest.raises(TerramendError, match="no folder with scenes"):
        haze.source(part, tmp_path, 16)
    with pytest.raises(TerramendError, match="no folder with pairs"):
        haze.source({**part, "haze": 0.0}, tmp_path, 16)


@pytest.mark.parametrize("names", [("{}_cloudy", "{}_clear"), ("cloudy/{}", "clear/{}")])
def test_cloudy_images_of_own_pairs_are_no_land(names, tmp_path):
    for place, level in enumerate((500, 1000)):
        for name, value in zip(names, (level + 4000, level), strict=True):
            path = tmp_path / f"{name.format(place)}.tif"
            path.parent.mkdir(exist_ok=True)
            where = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, place * 9000, 0, -10, 0)}
            size = {"count": 3, "height": 40, "width": 40, "dtype": "uint16"}
            with rasterio.open(path, "w", driver="GTiff", **size, **where) as sink:
                sink.write(np.full((3, 40, 40), value, np.uint16))
                sink.descriptions = ("B04", "B03", "B02")
    clear = haze.source({"wavelengths": RGB, "haze": 0.9}, tmp_path, 16)(0, 0, 30, 16)[1]
    assert np.unique(reflected(clear).round(4)) == pytest.approx([0.05, 0.1], abs=1e-4)
    land = clear_bank(tmp_path, RGB, 16)
    assert [float(land.read(index).max()) for index in range(len(land.names))] == pytest.approx([0.05])


def test_land_under_made_cloud_is_that_of_the_pairs_where_there_are_no_scenes(tmp_path):
    for side, value in (("cloud", 200), ("label", 50)):
        (tmp_path / "RICE1" / side).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "RICE1" / side / "1.png"), np.full((40, 40, 3), value, np.uint8))
    draw = haze.source({"wavelengths": RGB, "haze": 0.9}, tmp_path, 16)
    cloudy, clear, known = draw(0, 0, 30, 16)
    assert np.allclose(clear, 50 / 255 * 2 - 1, atol=1e-5) and known.all()
    real = np.isclose(cloudy, 200 / 255 * 2 - 1, atol=1e-5).all((1, 2, 3))
    assert 0 < real.sum() < 15  # the others have a layer that is made
    with pytest.raises(TerramendError, match="haze lies between 0 and 1, not 7"):
        haze.source({"wavelengths": RGB, "haze": 7}, tmp_path, 16)
