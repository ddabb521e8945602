"""EarthNet2021 cubes as they are published, made here at their full size."""

import datetime

import numpy as np
import pytest
from terramend.backend.datasets import catalog, earthnet
from terramend.backend.errors import TerramendError

NAME = "29SND_2017-06-10_2017-11-06_2105_2233_2873_3001_32_112_44_124"


def cube(path, frames, channels=7, seed=0, **more):
    """A cube whose blue band counts pixels and frames, with a hilly DEM of -2000 to 2000 m."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    dynamic = rng.uniform(0.02, 0.4, (128, 128, channels, frames)).astype(np.float16)
    dynamic[:, :, 4:] = 0
    static = np.linspace(0, 1, 128 * 128, dtype=np.float32).reshape(128, 128, 1)
    values = {"highresdynamic": dynamic, "highresstatic": static, "mesodynamic": np.zeros((80, 80, 5, 150))}
    np.savez_compressed(path, **{**values, **more})
    return dynamic


def test_a_training_cube(tmp_path):
    path = tmp_path / "train" / "29SND" / f"{NAME}.npz"
    dynamic = cube(path, 30)
    dynamic[:3, :5, -1, 2] = 1  # bad quality
    dynamic[10, 10, 1, 3] = np.nan
    dynamic[:, :, :4, 4] = np.nan  # no acquisition that day
    cube(path, 30, highresdynamic=dynamic)
    assert catalog.places(tmp_path) == [("train", NAME)]
    place = catalog.read_place(tmp_path, "train", NAME)
    assert (place.shape, len(place.dates), place.bands) == ((128, 128), 29, ("B02", "B03", "B04", "B8A"))
    assert place.wavelengths == (490.0, 560.0, 665.0, 865.0) and place.pixel_size == (20.0, 20.0)
    # The name says that the last day is 6 November: 30 frames, the first one on day four.
    assert place.dates[0].day == datetime.date(2017, 6, 14)
    assert place.dates[-1].day == datetime.date(2017, 11, 6)
    np.testing.assert_array_equal(place.dates[0].image[2], dynamic[:, :, 2, 0].astype(np.float32))
    assert place.dates[2].gaps.sum() == 15 and place.dates[2].gaps[:3, :5].all()
    assert place.dates[3].gaps.sum() == 1 and place.dates[3].gaps[10, 10]
    assert "2017-07-04" not in [date.name for date in place.dates]  # frame 4
    assert place.elevation[0, 0] == -2000 and place.elevation[-1, -1] == 2000


def test_a_test_cube_is_context_and_target_in_one(tmp_path):
    split = tmp_path / "ood_test_split"
    first = cube(split / "context" / "29SND" / f"context_{NAME}.npz", 10, 5, seed=1)
    second = cube(split / "target" / "29SND" / f"target_{NAME}.npz", 20, 5, seed=2)
    place = catalog.read_place(tmp_path, "ood_test_split", NAME)
    assert len(place.dates) == 30 and len(earthnet.files(split, NAME)) == 2
    np.testing.assert_array_equal(place.dates[9].image[0], first[:, :, 0, 9].astype(np.float32))
    np.testing.assert_array_equal(place.dates[10].image[0], second[:, :, 0, 0].astype(np.float32))
    (split / "target" / "29SND" / f"target_{NAME}.npz").unlink()
    assert len(catalog.read_place(tmp_path, "ood_test_split", NAME).dates) == 10


def test_where_a_cube_lies():
    # Kyiv, Santiago de Chile and Sao Paulo lie in the tiles below; 29SND is a 100 km square of southern Portugal with its corner at 500 km, 4300 km in zone 29.
    assert earthnet.centre(NAME) == pytest.approx((39.2, -8.5), abs=0.3)
    for tile, place in (("36UUB", (50.5, 30.5)), ("19HCD", (-33.4, -70.7)), ("23KLP", (-23.5, -46.6))):
        found = earthnet.centre(NAME.replace("29SND", tile))
        assert found == pytest.approx(place, abs=0.8), tile
    assert earthnet.centre("scene") is None
    assert earthnet.centre(NAME.replace("29SND", "32UIO")) is None


def test_cubes_of_one_tile_are_one_ground():
    other = NAME.replace("_2105_", "_2205_")
    assert catalog.ground("train", NAME) == catalog.ground("iid_test_split", other)
    assert catalog.ground("train", NAME) != catalog.ground("train", NAME.replace("29SND", "29SPC"))


def test_a_split_alone_is_a_root_too(tmp_path):
    cube(tmp_path / "29SND" / f"{NAME}.npz", 2)
    assert catalog.places(tmp_path) == [(".", NAME)]
    assert len(catalog.read_place(tmp_path, ".", NAME).dates) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"highresdynamic": np.zeros((128, 128, 3, 2), np.float32)},
        {"highresdynamic": np.array([{}], object)},  # would need a pickle
        {"highresstatic": np.zeros((64, 64, 1), np.float32)},
    ],
)
def test_a_cube_that_is_none_is_said(tmp_path, more):
    cube(tmp_path / "train" / "29SND" / f"{NAME}.npz", 2, **more)
    with pytest.raises(TerramendError, match=r"\.npz cannot be read") as caught:
        catalog.read_place(tmp_path, "train", NAME)
    assert caught.value.code == "dataset.file"


def test_a_cube_that_is_cut_off_is_said(tmp_path):
    path = tmp_path / "train" / "29SND" / f"{NAME}.npz"
    cube(path, 2)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TerramendError):
        catalog.read_place(tmp_path, "train", NAME)
