"""Align-CR as a reconstructor, with stand-ins for the network: what it trusts, marks and leaves alone."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from terramend.models.align_cr import inputs
from terramend.models.align_cr.model import Radar, create
from terramend.models.base import Reference, Source, Tile, digest
from terramend.models.registry import find


@dataclass
class Stand:
    """A network that adds `gain` times (VV plane - 0.5) to every band, or noise."""

    gain: float = 0.0
    noise: float = 0.0

    def run(self, _, given):
        image = given["image"]
        assert image.shape[1] == 10 and image.dtype == np.float32 and np.isfinite(image).all()
        assert image.shape[2] % 32 == 0 and image.shape[3] % 32 == 0
        out = image[:, :6] + self.gain * (image[:, 7:8] - 0.5) * image[:, 9:10]
        random = np.random.default_rng(0)
        return [(out + self.noise * random.standard_normal(out.shape)).astype(np.float32)]


def scene(bands=6, height=90, width=100, seed=0):
    """Truth that radar explains, up to a plane; a third is missing."""
    random = np.random.default_rng(seed)
    rough = random.uniform(-0.5, 0.5, (height, width)).astype(np.float32)
    truth = np.stack([0.3 + 0.02 * b + 0.1 * rough for b in range(bands)]).astype(np.float32)
    gap = np.zeros((height, width), bool)
    gap[20:60, 30:80] = True
    gaps = np.broadcast_to(gap, truth.shape).copy()
    sar = np.stack([25 * rough - 12.5, 32.5 * rough - 16.25]).astype(np.float32)
    waves = inputs.SLOTS[:bands] if bands <= 6 else (*inputs.SLOTS, *(705.0, 740.0, 783.0)[: bands - 6])
    return truth, Tile(np.where(gap, np.nan, truth).astype(np.float32), gaps, sar=sar, wavelengths=waves)


HARMONIC = find("harmonic").create()


def filled(tile, stand, prior=HARMONIC):
    model = Radar(stand, prior, "0" * 64)
    state = model.prepare(tile)
    return model.predict(tile, state), state


def rms(made, truth, tile):
    return float(np.sqrt(np.mean((made.mean - truth)[tile.gaps] ** 2)))


def test_takes_a_correction_that_the_scene_confirms():
    truth, tile = scene()
    plain = HARMONIC.predict(tile, HARMONIC.prepare(tile))
    made, state = filled(tile, Stand(gain=0.1))
    assert (state.share > 0.9).all() and rms(made, truth, tile) < 0.4 * rms(plain, truth, tile)
    assert (made.source[tile.gaps[0]] == Source.GUIDE).all() and (
        made.source[~tile.gaps[0]] == Source.VALID
    ).all()
    half, state = filled(tile, Stand(gain=0.2))
    assert np.allclose(state.share, 0.5, atol=0.1) and np.allclose(
        half.mean, made.mean, atol=0.02, equal_nan=True
    )
    expected = rms(made, truth, tile)
    assert 0.5 < np.median(made.std[tile.gaps]) / expected < 2


def test_leaves_a_correction_that_does_not_fit():
    truth, tile = scene()
    plain = HARMONIC.predict(tile, HARMONIC.prepare(tile))
    for stand in (Stand(gain=-0.1), Stand(noise=0.2), Stand()):
        made, state = filled(tile, stand)
        assert (state.share >= 0).all() and (state.share < 0.1).all()
        assert rms(made, truth, tile) < 1.02 * rms(plain, truth, tile)


def test_what_it_starts_from_may_lie_below_0():
    """An index or a temperature below 0 came out as 0; only the network's part is kept from leading there."""
    _, tile = scene()
    below = replace(tile, image=tile.image - 1)
    plain = HARMONIC.predict(below, HARMONIC.prepare(below))
    made, _ = filled(below, Stand())
    assert np.array_equal(made.mean, plain.mean, equal_nan=True) and (made.mean[tile.gaps] < -0.5).all()
    model = Radar(Stand(gain=-2), HARMONIC, "")
    darker = model.predict(tile, replace(model.prepare(tile), share=np.ones(6, np.float32)))
    assert darker.mean[tile.gaps].min() == 0


def test_a_correction_is_taken_whole_where_too_little_is_hidden_to_try_it():
    truth, tile = scene()
    size, few = np.s_[:, 10:30, 20:40], replace(tile, gaps=np.zeros_like(tile.gaps))
    few.gaps[:, 18:24, 28:34] = True
    few = replace(few, image=np.where(few.gaps, np.nan, truth)[size], gaps=few.gaps[size], sar=few.sar[size])
    _, state = filled(few, Stand(gain=-0.1))
    np.testing.assert_array_equal(state.share, 1)


def test_radar_that_is_missing_or_covers_a_part():
    _, tile = scene()
    part = tile.sar.copy()
    part[:, :, 55:] = np.nan
    made, _ = filled(replace(tile, sar=part), Stand(gain=0.1))
    gap = tile.gaps[0]
    assert np.isfinite(made.mean[tile.gaps]).all()
    assert set(np.unique(made.source[:, :55][gap[:, :55]])) == {Source.GUIDE}
    assert set(np.unique(made.source[:, 55:][gap[:, 55:]])) == {Source.SURROUNDINGS}
    none, _ = filled(replace(tile, sar=None), Stand(gain=0.1))
    assert np.isfinite(none.mean[tile.gaps]).all() and set(np.unique(none.source[gap])) == {
        Source.SURROUNDINGS
    }
    vv = tile.sar.copy()
    vv[1] = np.nan
    one, _ = filled(replace(tile, sar=vv), Stand(gain=0.1))
    assert (one.source[gap] == Source.GUIDE).all()


@pytest.mark.parametrize("bands", [1, 3, 4, 6, 9])
def test_any_number_of_bands(bands):
    truth, tile = scene(bands)
    made, state = filled(tile, Stand(gain=0.1))
    assert made.mean.shape == truth.shape and np.isfinite(made.mean[tile.gaps]).all()
    assert np.isnan(made.mean[~tile.gaps]).all() and rms(made, truth, tile) < 0.02  # bands without a slot too
    assert digest(state) == digest(Radar(Stand(gain=0.1), HARMONIC, "").prepare(tile))


def test_bands_with_gaps_of_their_own():
    truth, tile = scene(3)
    gaps = tile.gaps.copy()
    gaps[1], gaps[2] = np.roll(gaps[1], 7, 1), False
    tile = replace(tile, image=np.where(gaps, np.nan, truth).astype(np.float32), gaps=gaps)
    made, _ = filled(tile, Stand(gain=0.1))
    assert np.array_equal(np.isfinite(made.mean), gaps)


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (5, 40), (33, 47)])
def test_small_scenes_and_scenes_without_data(shape):
    tile = Tile(
        np.full((2, *shape), np.nan, np.float32), np.ones((2, *shape), bool), wavelengths=(490.0, 560.0)
    )
    made, _ = filled(tile, Stand(gain=0.1))
    assert np.isnan(made.mean).all() and (made.source == Source.UNFILLED).all()
    image = np.full((2, *shape), 0.2, np.float32)
    image[:, 0, 0] = np.nan
    made, _ = filled(Tile(image, np.isnan(image), wavelengths=(490.0, 560.0)), Stand())
    if image[0].size > 1:
        assert np.allclose(made.mean[:, 0, 0], 0.2, atol=1e-3)


def test_clear_mode_changes_what_is_marked_and_says_so():
    truth, tile = scene(7)
    marked = np.ones(truth.shape, bool)
    marked[:, :, 90:] = False
    image = truth + np.float32(0.2)
    image[:, :3] = np.nan
    tile = replace(tile, image=image, gaps=marked)
    model = Radar(Stand(gain=0.1), HARMONIC, "")
    assert model.prepare(tile) is None
    made = model.predict(tile, None)
    expected = image[:6] + 0.1 * ((tile.sar[0] + 25) / 25 - 0.5)
    assert np.allclose(made.mean[:6, 3:, :90], expected[:, 3:, :90], atol=1e-5)
    assert np.isnan(made.mean[6]).all() and np.isnan(made.mean[:, :3]).all() and np.isnan(made.std).all()
    assert (made.source[3:, :90] == Source.ALTERED).all() and (made.source[:, 90:] == Source.VALID).all()


def test_cleared_land_is_never_darker_than_0():
    truth, tile = scene()
    model = Radar(Stand(gain=-5), HARMONIC, "")
    made = model.predict(replace(tile, image=truth, gaps=np.ones(truth.shape, bool)), None)
    assert made.mean.min() == 0


def test_blocks_are_seen_with_what_is_around_them():
    class Smear:
        """Means of 9 x 9 pixels."""

        def run(self, _, given):
            return [np.stack([cv2.blur(band, (9, 9)) for band in given["image"][0, :6]])[None]]

    truth, tile = scene(height=224, width=256)  # both are multiples of what the network divides by
    made = Radar(Smear(), HARMONIC, "").predict(
        replace(tile, image=truth, gaps=np.ones(truth.shape, bool)), None
    )
    np.testing.assert_allclose(made.mean, [cv2.blur(band, (9, 9)) for band in truth], atol=1e-6)


def test_missing_weights_are_said(tmp_path):
    with pytest.raises(ValueError, match="has no config.json"):
        create("default", 0, str(tmp_path))


def test_a_network_of_four_bands_leaves_the_others_to_regression():
    truth, tile = scene()

    class Four:
        def run(self, _, given):
            image = given["image"]
            assert image.shape[1:] == (6, 96, 128)
            return [image[:, :4] + 0.1 * (image[:, 4:5] - 0.5)]

    model = Radar(Four(), HARMONIC, "", bands=4, more=0, sar=2, multiple=32)
    state = model.prepare(tile)
    made = model.predict(tile, state)
    assert (state.transfer[4:, :4].sum(1) > 0.9).all() and not state.transfer[:, 4:].any()
    assert np.isfinite(made.mean[tile.gaps]).all() and rms(made, truth, tile) < 0.02
    cleared = model.predict(replace(tile, image=truth + np.float32(0.1)), None)
    assert np.isfinite(cleared.mean[:4][tile.gaps[:4]]).all() and np.isnan(cleared.mean[4:]).all()


def test_starts_from_guided_and_keeps_what_that_knows():
    truth, tile = scene()
    dates = (Reference(1.2 * truth + np.float32(0.05), days=5),)
    guided = find("guided").create()
    plain = guided.predict(replace(tile, references=dates), guided.prepare(replace(tile, references=dates)))
    made, state = filled(replace(tile, references=dates), Stand(gain=0.1), guided)
    assert rms(made, truth, tile) <= 1.05 * rms(plain, truth, tile) + 1e-4 and (state.share < 0.5).all()
    assert np.array_equal(made.source, plain.source) and np.array_equal(made.reference, plain.reference)
    with pytest.raises(ValueError, match="harmonic or guided, not copy"):
        create("default", 0, prior="copy")


def test_despeckling_is_asked_for():
    _, tile = scene()
    plain, _ = filled(tile, Stand(gain=0.1))
    model = Radar(Stand(gain=0.1), HARMONIC, "", despeckle=True)
    made = model.predict(tile, model.prepare(tile))
    assert not np.array_equal(made.mean[tile.gaps], plain.mean[tile.gaps])
    with pytest.raises(ValueError, match="yes or no"):
        create("default", 0, despeckle="maybe")
    with pytest.raises(ValueError, match="bilinear or nearest"):
        create("default", 0, upsampling="cubic")
