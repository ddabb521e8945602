"""What AlignDiff's samples show: nothing of what is hidden, and other dates as they are."""

import datetime

import numpy as np
import pytest
from terramend.backend.datasets import catalog
from terramend.backend.datasets.place import Date, Place
from terramend.backend.training import aligndiff_samples

RANDOM = np.random.default_rng(0)
NAMES, WAVES = ("B02", "B03", "B04"), (490.0, 560.0, 665.0)


def place(*images: np.ndarray) -> Place:
    """Dates ten days apart, the later ones with a cloud."""
    cloud = np.zeros(images[0].shape[1:], bool)
    cloud[:10, :10] = True
    days = [datetime.date(2020, 5, 1 + 10 * number) for number in range(len(images))]
    dates = [Date(str(day), image, cloud & (day > days[0]), day) for day, image in zip(days, images)]
    return Place("d", "p", NAMES, WAVES, tuple(dates))


@pytest.fixture
def bank(tmp_path, monkeypatch):
    """The bank of one place."""

    def of(found: Place) -> aligndiff_samples.Bank:
        monkeypatch.setattr(catalog, "places", lambda _: [("d", "p")])
        monkeypatch.setattr(catalog, "read_place", lambda *_: found)
        monkeypatch.setattr(catalog, "left_out", lambda *_: ())
        return aligndiff_samples.bank(tmp_path, (), 32, ())

    return of


@pytest.mark.parametrize("guided", [False, True])
def test_the_hint_of_a_crop_shows_nothing_of_what_its_gap_hides(guided, bank):
    image, other = RANDOM.uniform(0.1, 0.4, (2, 3, 40, 40)).astype(np.float32)
    (scene,) = bank(place(image, other)).scenes
    gap = np.zeros((32, 32), bool)
    gap[8:20, 5:25] = True
    cut = slice(4, 36), slice(4, 36)
    truth, hint = aligndiff_samples.sample(scene, [1], cut, gap, scene.others, guided)
    scene.image[(slice(None), *cut)][:, gap] = 0.9
    changed, again = aligndiff_samples.sample(scene, [1], cut, gap, scene.others, guided)
    np.testing.assert_array_equal(hint, again)
    np.testing.assert_array_equal((truth != changed)[0], gap)


def test_other_dates_of_a_crop_keep_their_clouds_and_days(bank):
    (scene,) = bank(place(*RANDOM.uniform(0.1, 0.4, (2, 3, 40, 40)).astype(np.float32))).scenes
    (other,) = scene.others
    assert other.days == 10
    assert np.isnan(other.image[:, :10, :10]).all() and np.isfinite(other.image).sum() == 3 * 1500
