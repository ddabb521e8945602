"""The reconstructor over a network that is foreseen: what it is shown, drawn and asked, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from terramend.models.base import Tile
from terramend.models.ddpm import model
from terramend.models.ddpm.model import RGB, TOP, Inpainter
from terramend.models.diffusion import schedules
from terramend.models.diffusion.scaling import reflected, shown

SAID = np.array([-0.2, 0.1, 0.4], np.float32)
"""x0 of the three samples."""


@dataclass
class Prior:
    """Says the same of every pixel of a sample."""

    schedule: schedules.Schedule = field(default_factory=lambda: schedules.make("linear", 1000))
    predicts: str = "x0"
    multiple: int = 16
    asked: list = field(default_factory=list)

    def denoise(self, x, t):
        self.asked.append((t, x.copy()))
        return np.broadcast_to(SAID[:, None, None, None], x.shape)


@pytest.fixture
def tile():
    """Red, green and blue on their own gaps, with others than these at the scene's 64th row."""
    image = np.random.default_rng(0).uniform(0.02, 0.7, (4, 21, 27)).astype(np.float32)
    gaps = np.zeros(image.shape, bool)
    gaps[:, 4:12, 6:20] = True
    gaps[1, 15:18] = True  # green alone
    hidden = np.where(gaps, np.float32(np.nan), image)
    return Tile(hidden, gaps, row=64, column=32, wavelengths=(*RGB, 842.0))


def test_mean_and_deviation_are_those_of_the_samples_reflectance(tile) -> None:
    made = Inpainter(Prior(), steps=4, again=2, samples=3).predict(tile, None)
    looks = reflected(SAID, TOP)
    for band in range(3):
        gap = tile.gaps[band]
        assert made.mean[band][gap] == pytest.approx(looks.mean(), rel=1e-4)
        assert made.std[band][gap] == pytest.approx(looks.std(ddof=1), rel=1e-4)
    assert np.isnan(made.mean[3]).all() and np.isnan(made.mean[:3][~tile.gaps[:3]]).all()


def test_known_pixels_are_shown_at_the_noise_of_each_time_and_no_others(tile) -> None:
    prior = Prior()
    Inpainter(prior, steps=1000, again=1, samples=3).predict(tile, None)
    t, last = prior.asked[-1]
    rest = np.sqrt(1 - prior.schedule.bar[t - 1])
    known = tile.valid[:3].all(0)
    bright = shown(np.nan_to_num(tile.image[:3]), TOP)
    assert t == 1 and rest == pytest.approx(0.01)
    assert np.abs(last[..., :21, :27][..., known] - bright[:, known]).max() < 6 * rest
    unknown = np.abs(last - SAID[:, None, None, None]) < 10 * rest
    assert unknown[..., 21:, :].all() and unknown[..., 27:].all()  # beyond the tile nothing is known
    assert unknown[:, :, 15:18].all()  # nor where one of the three is hidden


def test_every_draw_is_another_field_at_the_tiles_place(tile, monkeypatch) -> None:
    fields, honest = [], model.noise

    def noted(seed, draw, channels, row, column, height, width):
        fields.append((seed, draw, row, column))
        return honest(seed, draw, channels, row, column, height, width)

    monkeypatch.setattr(model, "noise", noted)
    prior = Prior()
    Inpainter(prior, steps=4, again=3, samples=3, seed=9).predict(tile, None)
    assert len(set(fields)) == len(fields)
    assert {(seed, row, column) for seed, _, row, column in fields} == {(9, 64, 32)}
    assert [t for t, _ in prior.asked] == [*[1000] * 3, *[750] * 3, *[500] * 3, 250]
