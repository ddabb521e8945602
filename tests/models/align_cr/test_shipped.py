"""The weights that come along, in the light environment, on a scene that they were not trained on."""

import numpy as np
import pytest
from terramend.backend.datasets import catalog
from terramend.models.align_cr import inputs
from terramend.models.base import Source, Tile
from terramend.models.registry import find


@pytest.fixture(scope="module")
def triplet(data_pack):
    """Cloudy, clear, cloud, radar of a validation scene, 128 x 128, that is two fifths clouded."""
    place = catalog.read_place(data_pack / "val", "s1_s2_triplets", "sen12mscr_sample_5254")
    cloudy, clear = place.date("cloudy"), place.date("clear")
    cut = (slice(None), slice(64, 192), slice(64, 192))
    return cloudy.image[cut], clear.image[cut], cloudy.gaps[cut[1:]], clear.sar[cut]


def psnr(error):
    return -10 * np.log10(np.mean(np.square(error, dtype=np.float64)))


def test_clears_real_cloud(triplet):
    cloudy, clear, cloud, sar = triplet
    tile = Tile(cloudy, np.ones(cloudy.shape, bool), sar=sar, wavelengths=inputs.SLOTS)
    model = find("align-cr").create()
    made = model.predict(tile, model.prepare(tile))
    assert np.isfinite(made.mean).all() and (made.source == Source.ALTERED).all()
    assert psnr(made.mean - clear) > psnr(cloudy - clear) + 5
    assert psnr((made.mean - clear)[:, cloud]) > psnr((cloudy - clear)[:, cloud]) + 8


def test_fills_no_worse_than_what_it_starts_from(triplet):
    _, clear, _, sar = triplet
    gap = np.zeros(clear.shape[1:], bool)
    gap[40:90, 30:100] = True
    gaps = np.broadcast_to(gap, clear.shape).copy()
    tile = Tile(np.where(gaps, np.nan, clear).astype(np.float32), gaps, sar=sar, wavelengths=inputs.SLOTS)
    guided, model = find("guided").create(), find("align-cr").create()
    plain = guided.predict(tile, guided.prepare(tile)).mean
    made = model.predict(tile, model.prepare(tile))
    assert psnr((made.mean - clear)[gaps]) > psnr((plain - clear)[gaps]) - 0.2
    assert np.isfinite(made.std[gaps]).all() and np.isnan(made.mean[~gaps]).all()


def test_what_radar_says_is_seen(triplet):
    """Weights before these gave the same image whatever radar said."""
    cloudy, _, _, sar = triplet
    model = find("align-cr").create()
    made = [
        model.predict(
            Tile(cloudy, np.ones(cloudy.shape, bool), sar=said, wavelengths=inputs.SLOTS), None
        ).mean
        for said in (sar, sar[:, ::-1, ::-1].copy())
    ]
    assert np.sqrt(np.mean((made[0] - made[1]) ** 2)) > 3e-3
