"""What hidden pixels say of the ways of filling holds for the fill itself."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Tile
from terramend.models.guided import uncertainty, ways, weighing
from terramend.models.guided.model import of_quality
from terramend.models.guided.state import learn

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
