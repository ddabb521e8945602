"""The correction of `guided`: what the network sees, how far it is followed, what stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.models.base import Prediction, Reference, Source, Tile
from terramend.models.guided import model as guided_model
from terramend.models.mend import model, trust
from terramend.models.mend.inputs import BASE, SLOTS, frame, stack


def scene(bands: int = 3, side: int = 64, dates: int = 2, seed: int = 0) -> Tile:
    """A textured scene under a round gap, with dates that are a linear mix of it and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    truth = np.stack([0.2 + 0.05 * np.sin(x / (3 + b)) * np.cos(y / 4) for b in range(bands)])
    gap = np.broadcast_to((y - side / 2) ** 2 + (x - side / 2) ** 2 < (side / 4) ** 2, truth.shape)
    image = np.where(gap, np.nan, truth).astype(np.float32)
    others = [0.8 * truth + 0.05 + random.normal(0, 0.01, truth.shape) for _ in range(dates)]
    references = tuple(Reference(other.astype(np.float32), days=-10) for other in others)
    return Tile(image, gap.copy(), references)


class Prior:
    """Says 0.22 with a deviation of 0.02 in every gap."""

    def prepare(self, overview):
        return None

    def predict(self, tile, state):
        mean = np.where(tile.gaps, np.float32(0.22), np.float32(np.nan))
        std = np.where(tile.gaps, np.float32(0.02), np.float32(np.nan))
        where = np.where(tile.gaps.any(0), Source.REFERENCE, Source.VALID).astype(np.uint8)
        return Prediction(mean, std, where, np.zeros(where.shape, np.int16))


class Network:
    """Says a shift and a log factor, the shift growing with the first channel where asked to."""

    def __init__(self, shift: float, log_factor: float = 0.0, look: float = 0.0) -> None:
        self.shift, self.log_factor, self.look = shift, log_factor, look

    def run(self, names, inputs):
        seen = inputs["base"][:, 0]
        assert seen.shape[-1] % model.MULTIPLE == 0 and seen.shape[-2] % model.MULTIPLE == 0
        shift = self.shift + self.look * seen
        return [np.stack([shift, np.full_like(seen, self.log_factor)], 1)]


def corrected(network, tables: trust.Trust, prior=None) -> model.Mend:
    return model.Mend(prior or Prior(), network, tables, "")


ALL = dict.fromkeys(trust.CASES, (1.0,) * 4)


def test_the_correction_is_in_deviations_of_the_prior() -> None:
    tile = scene()
    made = corrected(Network(0.5, np.log(4.0)), trust.Trust(ALL, dict.fromkeys(ALL, (1.5,) * 4)))
    said = made.predict(tile, made.prepare(tile))
    np.testing.assert_allclose(said.mean[tile.gaps], 0.22 + 0.5 * 0.02, rtol=1e-5)
    np.testing.assert_allclose(said.std[tile.gaps], 0.02 * 2 * 1.5, rtol=1e-5)
    assert np.isnan(said.mean[~tile.gaps]).all() and np.isnan(said.std[~tile.gaps]).all()


def test_without_a_table_the_prior_stays() -> None:
    tile = scene()
    prior = Prior().predict(tile, None)
    silent = corrected(Network(9.0), trust.Trust({}, {}))
    assert silent.trust.silent("two")
    said = silent.predict(tile, silent.prepare(tile))
    np.testing.assert_array_equal(said.mean, prior.mean)
    only_mean = corrected(Network(0.5), trust.Trust(ALL, {}))
    np.testing.assert_array_equal(only_mean.predict(tile, only_mean.prepare(tile)).std, prior.std)
    only_std = corrected(Network(0.5), trust.Trust({}, ALL))
    np.testing.assert_array_equal(only_std.predict(tile, only_std.prepare(tile)).mean, prior.mean)


def test_shares_follow_the_distance() -> None:
    tile = scene(side=128)
    near = dict.fromkeys(trust.CASES, (1.0, 0.0, 0.0, 0.0))
    made = corrected(Network(0.5), trust.Trust(near, {}))
    moved = made.predict(tile, made.prepare(tile)).mean[0] - np.float32(0.22)
    rim = moved[64, 33:36]
    assert rim[0] == pytest.approx(0.01, rel=1e-4)  # a pixel from valid data
    assert 0 < rim[1] < rim[0] and moved[64, 64] == 0


def test_a_correction_does_not_leave_the_range_that_was_seen() -> None:
    tile = scene()
    made = corrected(Network(1e4), trust.Trust(ALL, {}))
    said = made.predict(tile, made.prepare(tile))
    high = frame(tile).high
    for band, layer in enumerate(said.mean):
        assert np.nanmax(layer) <= max(high[band], 0.22) + 1e-6


def test_blocks_do_not_show(monkeypatch) -> None:
    tile = scene(side=160)
    made = corrected(Network(0.2, look=0.1), trust.Trust(ALL, ALL))
    state = made.prepare(tile)
    whole = made.predict(tile, state)
    monkeypatch.setattr(model, "BLOCK", 40)
    parts = made.predict(tile, state)
    np.testing.assert_array_equal(whole.mean, parts.mean)
    np.testing.assert_array_equal(whole.std, parts.std)


def test_a_prior_that_could_not_fill_is_not_made_up() -> None:
    class Partly(Prior):
        def predict(self, tile, state):
            said = super().predict(tile, state)
            said.mean[:, :, 30:34] = np.nan
            return said

    tile = scene()
    made = corrected(Network(1.0), trust.Trust(ALL, ALL), Partly())
    said = made.predict(tile, made.prepare(tile))
    assert np.isnan(said.mean[:, :, 30:34]).all()
    assert np.isfinite(said.mean[:, :, 34:][tile.gaps[:, :, 34:]]).all()


def test_inputs_hold_what_is_known_and_nothing_else() -> None:
    tile = scene(dates=1)
    prior = Prior().predict(tile, None)
    known = frame(tile)
    base, others, spread = stack(tile, prior, known)
    assert base.shape == (3, BASE, 64, 64) and others.shape[:2] == (3, SLOTS)
    assert np.isfinite(base).all() and np.isfinite(others).all()
    assert (base[:, 2][tile.gaps] == 0).all()  # the valid target
    expected = (0.22 - known.mean) / known.scale
    for band in range(3):
        np.testing.assert_allclose(base[band, 0][tile.gaps[band]], np.clip(expected[band], -8, 8), rtol=1e-4)
        inside = ~tile.gaps[band]
        # A date that is a linear mix with little noise guesses the target well.
        assert np.abs(others[band, 0, 2][inside]).mean() < 0.5
    assert (others[:, 1:] == 0).all()
    np.testing.assert_allclose(spread[tile.gaps], 0.02)


def test_a_scene_knows_its_case() -> None:
    tile = scene(dates=0)
    assert frame(tile).case == "space"
    relief = np.ones((3, 64, 64), np.float32)
    assert frame(replace(tile, terrain=relief)).case == "terrain"
    assert frame(replace(tile, terrain=relief * np.nan)).case == "space"
    assert frame(replace(tile, sar=relief[:2])).case == "radar"
    for dates, case in ((1, "one"), (2, "two"), (5, "few"), (6, "many")):
        assert frame(scene(dates=dates)).case == case
    unseen = replace(tile, references=(Reference(np.full((3, 64, 64), np.nan, np.float32)),))
    assert frame(unseen).case == "space"


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=20))
def test_nodes_share_every_distance(distances) -> None:
    weights = trust.hats(np.array(distances, np.float32))
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-5)
    assert (weights >= 0).all()
    np.testing.assert_allclose(trust.hats(np.array(trust.NODES, np.float32)), np.eye(4), atol=1e-5)


def test_tables_of_another_version_are_refused() -> None:
    good = {"nodes": list(trust.NODES), "mean": {"one": [1, 1, 0, 0]}, "std": {}}
    assert trust.read(good).mean["one"] == (1.0, 1.0, 0.0, 0.0)
    for change in ({"nodes": [1, 2, 3, 4]}, {"mean": {"three": [1, 1, 1, 1]}}, {"std": {"one": [1]}}):
        with pytest.raises(ValueError, match="another version"):
            trust.read({**good, **change})
    with pytest.raises(ValueError, match="not tested"):
        trust.read({"widths": [1]})


def test_a_folder_that_is_no_run_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"config\.json"):
        guided_model.create("best", mend=str(tmp_path))
    with pytest.raises(ValueError, match="best only"):
        guided_model.create("fast", mend=str(tmp_path))


def test_a_prior_on_another_device_is_said() -> None:
    made = corrected(Network(0.0), trust.Trust({}, {}), guided_model.of_quality("best"))
    assert made.device == "cpu" and made.on("cuda").device == "cuda"
    assert corrected(Network(0.0), trust.Trust({}, {})).on("cuda").device == "cpu"
