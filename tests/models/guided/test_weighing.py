"""What hidden pixels say of the ways of filling holds for the fill itself."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile
from terramend.models.guided import uncertainty, ways, weighing
from terramend.models.guided.model import of_quality
from terramend.models.guided.state import learn
from terramend.models.planes import concat

from .scenes import blobs, hide, patchwork, texture

SETTINGS = of_quality("fast").settings


def scene(noise):
    """Two bands and another date, on which lies a texture of its own, so many times as strong."""
    shape = (96, 104)
    truth = texture(shape, 1, bands=2)
    other = truth + noise * (texture(shape, 2, bands=2) - 0.25)
    return Tile(*hide(truth, blobs(shape, 3, 0.3)), (Reference(other.astype(np.float32), 8),))


@pytest.mark.parametrize("noise", [0.3, 6.0])
def test_nine_tenths_of_the_hidden_pixels_lie_inside_what_the_fill_says_of_them(noise):
    tile = scene(noise)
    state = weighing.weigh(tile, learn(tile, SETTINGS), SETTINGS)
    trial = uncertainty.make_trial(tile)
    inside = []
    for part, hidden in zip(trial.tiles, np.split(trial.hidden, len(trial.tiles), axis=1), strict=True):
        bare = learn(part, SETTINGS)
        mixed = replace(bare.regression, local=state.regression.local, plate=state.regression.plate)
        made = ways.fill(
            part, replace(bare, regression=mixed, weights=state.weights, factors=state.factors), SETTINGS
        )
        inside.append((np.abs(made.image - tile.image) <= 1.645 * made.std)[:, hidden].mean())
    assert 0.88 < np.mean(inside) < 0.95
    assert (state.weights.references == 1) == (noise < 1)


def test_references_are_trusted_before_a_trial_by_what_they_explain():
    tile = scene(0.3)
    known = learn(tile, SETTINGS).regression
    said = [weighing._trusted(replace(known, explained=share)) for share in (0.0, 0.5, 1.0)]
    assert said == [weighing._USELESS, pytest.approx((weighing._USELESS + 1) / 2), 1.0]


def test_where_nothing_can_be_tried_a_state_stays_as_it_is():
    tile = scene(0.3)
    gaps = np.ones_like(tile.gaps)
    gaps[:, :4, :4] = False
    blind = replace(tile, image=np.where(gaps, np.nan, 0.2).astype(np.float32), gaps=gaps)
    state = learn(blind, SETTINGS)
    assert weighing.weigh(blind, state, SETTINGS) is state


@pytest.mark.parametrize("smooth", [True, False])
def test_the_stiffer_surface_counts_where_a_scene_is_smooth(smooth):
    rows, columns = np.indices((96, 104), np.float32)
    random = np.random.default_rng(3)
    truth = np.sin(rows / 3) * np.cos(columns / 2.5) if smooth else random.standard_normal(rows.shape)
    tile = Tile(*hide(0.2 + 0.05 * truth[None], random.random(rows.shape) < 0.35))
    weights = weighing.weigh(tile, learn(tile, SETTINGS), SETTINGS).weights
    assert weights.stiff > 0.9 if smooth else weights.stiff == 0


def test_terrain_and_radar_count_by_what_they_say_together():
    tile, _ = patchwork()
    weights = weighing.weigh(tile, learn(tile, SETTINGS), SETTINGS).weights
    assert weights.nonlinear > 0.9 and weights.guide > 0.9 and weights.guide_tells


class Tried:
    """The trial of a tile, filled anew by what is learnt without the hidden pixels, as weighed."""

    def __init__(self, tile):
        self.state = weighing.weigh(tile, learn(tile, SETTINGS), SETTINGS)
        self.trial = uncertainty.make_trial(tile)
        self._learnt = [learn(part, SETTINGS) for part in self.trial.tiles]

    def filled(self, dates=True, **weights):
        """(mean, deviation, source), of other weights than those that were found, or without dates.

        Deviations are those before factors and growth with distance.
        """
        made = []
        for part, one in zip(self.trial.tiles, self._learnt, strict=True):
            known = self.state.regression if dates else None
            if known is not None:
                mixed = {name: weights.get(name, getattr(known, name)) for name in ("local", "plate")}
                known = replace(one.regression, **mixed)
            others = {name: share for name, share in weights.items() if name not in ("local", "plate")}
            factors = replace(one.factors, rough=self.state.factors.rough)
            changed = replace(self.state.weights, **others)
            made.append(
                ways.fill(part, replace(one, regression=known, weights=changed, factors=factors), SETTINGS)
            )
        mean, std, source = (
            concat([getattr(one, name) for one in made]) for name in ("image", "std", "source")
        )
        return mean, std / uncertainty.growth(self.trial.distance), source


def smooth():
    rows, columns = np.indices((96, 104), np.float32)
    truth = 0.2 + 0.05 * np.sin(rows / 3) * np.cos(columns / 2.5)
    return Tile(*hide(truth[None], np.random.default_rng(3).random(rows.shape) < 0.35))


def dated():
    """A date that tells a part, and is clouded itself in another place."""
    tile = scene(3.0)
    image = tile.references[0].image.copy()
    image[:, 30:50, 20:90] = np.nan
    return replace(tile, references=(replace(tile.references[0], image=image),))


def changing():
    """A date whose law is another on each side."""
    shape = (96, 104)
    truth, law = texture(shape, 1, bands=2), np.linspace(-2, 2, shape[1])
    date = 0.25 + (truth - 0.25) / (1 + np.abs(law)) + 0.1 * law
    return Tile(*hide(truth, blobs(shape, 3, 0.3)), (Reference(date.astype(np.float32), 8),))


@pytest.mark.parametrize(
    ("make", "weights"),
    [
        (dated, ("references", "local", "plate")),
        (changing, ("local",)),
        (smooth, ("stiff",)),
        (lambda: patchwork(side=96)[0], ("guide", "nonlinear")),
    ],
)
def test_factors_are_those_of_the_fill_with_all_its_weights_and_no_others_are_much_better(make, weights):
    tried = Tried(make())
    space, std, _ = tried.filled(dates=False)
    expected = uncertainty.factors(tried.trial, space, std)
    np.testing.assert_allclose(tried.state.factors.space, expected, rtol=0.01)
    mean, std, source = tried.filled()
    if tried.state.regression is not None:
        seen = np.where(source == Source.REFERENCE, mean, np.float32(np.nan))
        expected = uncertainty.factors(tried.trial, seen, std)
        np.testing.assert_allclose(tried.state.factors.references, expected, rtol=0.01)

    def error(mean):
        return np.sqrt(np.nanmean((mean - tried.trial.truth)[:, tried.trial.hidden] ** 2))

    for weight in weights:
        others = [error(tried.filled(**{weight: share})[0]) for share in (0.0, 0.5, 1.0)]
        assert error(mean) < 1.03 * min(others), weight


def test_weights_and_factors_know_nothing_of_the_unit():
    tile = scene(1.5)
    wide = replace(
        tile, image=8 * tile.image, references=tuple(replace(r, image=8 * r.image) for r in tile.references)
    )
    one, other = (weighing.weigh(t, learn(t, SETTINGS), SETTINGS) for t in (tile, wide))
    assert one.weights.references == pytest.approx(other.weights.references, abs=1e-3)
    for name in ("references", "space", "rough"):
        np.testing.assert_allclose(getattr(one.factors, name), getattr(other.factors, name), rtol=1e-2)


def test_a_date_that_tells_too_little_once_pixels_are_hidden_is_not_tried():
    tile = scene(0.3)
    places = np.flatnonzero(~tile.gaps[0])
    few = np.random.default_rng(16).choice(places, 16, replace=False)
    seen = tile.gaps[0].copy()
    seen.ravel()[few] = True
    date = replace(tile.references[0], image=np.where(seen, tile.references[0].image, np.float32(np.nan)))
    tile = replace(tile, references=(date,))
    state = learn(tile, SETTINGS)
    assert any(learn(part, SETTINGS).regression is None for part in uncertainty.make_trial(tile).tiles)
    weighed = weighing.weigh(tile, state, SETTINGS)
    assert weighed.regression is state.regression is not None and weighed.weights.references == 1
    assert (weighed.factors.space != 1).any()


def test_radar_that_tells_nothing_is_not_what_a_pixel_rests_on():
    random = np.random.default_rng(9)
    truth = random.normal(0.2, 0.02, (1, 96, 104))
    tile = Tile(
        *hide(truth, blobs((96, 104), 3, 0.3)), sar=random.normal(-10, 3, (2, 96, 104)).astype(np.float32)
    )
    assert not weighing.weigh(tile, learn(tile, SETTINGS), SETTINGS).weights.guide_tells
