"""Peers against closed forms: what each must reproduce exactly, and that valid pixels stay."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from terramend.backend.evaluation import methods, oracle, peers_space, peers_time, regress
from terramend.backend.evaluation.membrane import membrane
from terramend.models.base import Reference, Tile

SIZE = 40


def _hole() -> np.ndarray:
    hole = np.zeros((SIZE, SIZE), bool)
    hole[12:24, 10:26] = True
    return hole


def _tile(truth: np.ndarray, references: tuple[Reference, ...] = ()) -> Tile:
    gaps = np.broadcast_to(_hole(), truth.shape).copy()
    return Tile(np.where(gaps, np.nan, truth).astype(np.float32), gaps, references)


def _texture(seed: int, bands: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.5, (bands, SIZE, SIZE)).astype(np.float32)


def _plane() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    return np.stack([0.2 + 0.1 * x + 0.2 * y, 0.3 - 0.1 * x]).astype(np.float32)


SPACE = [method for method in methods.PEERS if method.group == "space"]
TIME = [method for method in methods.PEERS if method.group == "time"]


@pytest.mark.parametrize("method", SPACE, ids=lambda method: method.name)
def test_space_peers_keep_valid_pixels_and_a_constant(method: methods.Method) -> None:
    tile = _tile(np.full((2, SIZE, SIZE), 0.25, np.float32))
    sample = _Sample(tile)
    filled, std = method.make(method.settings)(sample)  # type: ignore[arg-type]
    assert std is None
    np.testing.assert_array_equal(filled[~tile.gaps], tile.image[~tile.gaps])
    np.testing.assert_allclose(filled, 0.25, atol=1e-4)


@pytest.mark.parametrize("name", ["scipy-linear", "scipy-cubic", "biharmonic"])
def test_surfaces_continue_a_plane(name: str) -> None:
    method = next(method for method in SPACE if method.name == name)
    truth = _plane()
    filled, _ = method.make({})(_Sample(_tile(truth)))  # type: ignore[arg-type]
    np.testing.assert_allclose(filled, truth, atol=2e-4)


def test_membrane_is_harmonic_and_continues_a_plane() -> None:
    truth = _plane()
    np.testing.assert_allclose(membrane(_tile(truth).image, _hole()), truth, atol=1e-5)
    rough = membrane(_tile(_texture(1)).image, _hole())[0].astype(np.float64)
    mean = (rough[:-2, 1:-1] + rough[2:, 1:-1] + rough[1:-1, :-2] + rough[1:-1, 2:]) / 4
    np.testing.assert_allclose(rough[1:-1, 1:-1][_hole()[1:-1, 1:-1]], mean[_hole()[1:-1, 1:-1]], atol=1e-6)
    assert (membrane(truth, np.ones((SIZE, SIZE), bool)) == 0).all()
    corner = np.add.outer(np.arange(SIZE), np.arange(SIZE)) < 12
    level = np.where(corner, np.nan, np.full((1, SIZE, SIZE), 0.3))
    np.testing.assert_allclose(membrane(level, corner), 0.3, atol=1e-6)  # nothing flows over the edge


def test_opencv_on_sixteen_bits_has_no_bias() -> None:
    truth = _plane()
    for fill in (peers_space.telea, peers_space.navier_stokes):
        error = (fill(_tile(truth)) - truth)[:, _hole()]
        assert abs(error.mean()) < 0.02


def test_exemplar_repeats_a_pattern() -> None:
    y, x = np.mgrid[:SIZE, :SIZE]
    truth = (0.2 + 0.2 * ((x // 3 + y // 3) % 2))[None].astype(np.float32)
    filled = peers_space.exemplar(_tile(truth))
    assert np.mean(np.abs(filled - truth)[:, _hole()] < 0.01) > 0.95


@dataclasses.dataclass
class _Sample:
    tile: Tile


def _shifted(truth: np.ndarray, days: list[int], slope: float) -> tuple[Reference, ...]:
    return tuple(Reference((truth + slope * day).astype(np.float32), day, str(day)) for day in days)


def test_time_peers_find_a_line_in_time() -> None:
    truth = _texture(2)
    tile = _tile(truth, _shifted(truth, [-30, -10, 15, 25], 1e-3))
    for fill in (peers_time.time_linear, peers_time.akima, peers_time.whittaker):
        np.testing.assert_allclose(fill(tile), truth, atol=2e-4)
    np.testing.assert_allclose(peers_time.copy(tile)[:, _hole()], (truth - 0.01)[:, _hole()], atol=1e-6)


def test_whittaker_is_eilers_smoother_where_days_are_even() -> None:
    dates = [_texture(seed) for seed in range(20, 24)]
    days = (-20, -10, 10, 20)
    tile = _tile(_texture(2), tuple(Reference(*each) for each in zip(dates, days, strict=True)))
    differences = np.diff(np.eye(5), 2, axis=0)  # of steps of 10 days: 1e4 is 1
    seen = np.diag([1.0, 1, 0, 1, 1])
    row = np.linalg.solve(seen + differences.T @ differences, seen)[2][[0, 1, 3, 4]]
    expected = np.einsum("t,tbhw->bhw", row, np.stack(dates))
    np.testing.assert_allclose(peers_time.whittaker(tile, 1e4)[:, _hole()], expected[:, _hole()], atol=1e-5)


def test_harmonics_find_a_yearly_wave() -> None:
    truth = _texture(3)
    days = [-300, -200, -120, -60, 40, 90, 160]
    wave = tuple(
        Reference((truth + 0.1 * (np.cos(2 * np.pi * day / 365.25) - 1)).astype(np.float32), day)
        for day in days
    )
    np.testing.assert_allclose(peers_time.harmonic(_tile(truth, wave), 1, 1e-6), truth, atol=1e-3)


def test_time_peers_take_only_what_was_seen() -> None:
    truth = _texture(4)
    near, far = _shifted(truth, [-5, 20], 1e-3)
    clouded = near.image.copy()
    clouded[:, :, :18] = np.nan
    tile = _tile(truth, (Reference(clouded, -5), far))
    filled = peers_time.copy(tile)
    hole = _hole()
    left, right = hole.copy(), hole.copy()
    left[:, 18:], right[:, :18] = False, False
    np.testing.assert_allclose(filled[:, right], clouded[:, right])
    np.testing.assert_allclose(filled[:, left], far.image[:, left])


@pytest.mark.parametrize(
    "fill", [peers_time.lsq_one, peers_time.lsq_all, peers_time.lsq_one_residual, peers_time.lsq_all_residual]
)
def test_least_squares_finds_a_linear_relation(fill) -> None:  # type: ignore[no-untyped-def]
    truth = _texture(5)
    mixing = np.array([[0.5, 0.2, 0.1], [0.0, 0.8, 0.1], [0.3, 0.0, 0.6]])
    other = np.einsum("ij,jhw->ihw", mixing, truth) + 0.05
    tile = _tile(truth, (Reference(other.astype(np.float32), -8), Reference(_texture(6), 3)))
    np.testing.assert_allclose(fill(tile, ridge=1e-8), truth, atol=1e-3)


def test_histogram_matching_inverts_a_monotone_change() -> None:
    truth = _texture(7)
    tile = _tile(truth, (Reference(np.sqrt(truth).astype(np.float32), 4),))
    error = (peers_time.histogram(tile, quantiles=256) - truth)[:, _hole()]
    assert np.sqrt(np.mean(error**2)) < 0.01


def test_nspi_follows_a_change_of_one_cover() -> None:
    cover = (np.arange(SIZE) // 5 % 2)[None, :] * np.ones((SIZE, 1))
    before = np.stack([0.1 + 0.2 * cover, 0.3 - 0.1 * cover]).astype(np.float32)
    now = np.stack([0.1 + 0.25 * cover, 0.35 - 0.2 * cover]).astype(np.float32)
    filled = peers_time.nspi(_tile(now, (Reference(before, -9),)), candidates=200)
    np.testing.assert_allclose(filled, now, atol=0.01)


def test_nspi_is_its_formula_pixel_by_pixel() -> None:
    now, before, hole = _texture(12, 2), _texture(13, 2), _hole()
    filled = peers_time.nspi(_tile(now, (Reference(before, -9),)), candidates=SIZE**2, similar=5)
    own, known = before[:, 14, 11], np.argwhere(~hole)
    there, here = before[:, ~hole].T, now[:, ~hole].T
    unlike = np.sqrt(((there - own) ** 2).mean(1))
    best = np.argsort(unlike)[:5]
    weight = 1 / ((unlike[best] + 1e-4) * np.hypot(*(known[best] - (14, 11)).T))
    weight /= weight.sum()
    space, time = weight @ here[best], own + weight @ (here[best] - there[best])
    change = np.sqrt(((here[best] - there[best]) ** 2).mean(1)).mean()
    even = (1 / unlike[best].mean()) / (1 / unlike[best].mean() + 1 / change)
    np.testing.assert_allclose(filled[:, 14, 11], even * space + (1 - even) * time, rtol=1e-4)


def test_completed_references_have_no_gaps() -> None:
    truth = _texture(8)
    cut = truth.copy()
    cut[:, :10] = np.nan
    filled = regress.completed([cut, truth * 0.9])
    assert all(np.isfinite(image).all() for image in filled)
    np.testing.assert_allclose(filled[0], truth, atol=1e-3)


def test_local_regression_follows_coefficients_that_vary() -> None:
    x = _texture(9, 1)
    slope = np.linspace(0.5, 1.5, SIZE)[None, :] * np.ones((SIZE, 1))
    wanted = (slope * x).astype(np.float32)
    everywhere = np.ones((SIZE, SIZE), bool)
    error = regress.local(x, wanted, everywhere, 3, 1e-6) - wanted
    fixed = regress.apply(x, regress.fit(x.reshape(1, -1), wanted.reshape(1, -1), 1e-9)) - wanted
    assert np.abs(error).mean() < 0.35 * np.abs(fixed).mean()


def test_oracles_are_at_least_as_good_as_the_same_regression_without_the_truth() -> None:
    truth = _texture(10)
    other = (truth**1.5).astype(np.float32)
    tile, hole = _tile(truth, (Reference(other, 2),)), _hole()
    honest = np.abs(peers_time.lsq_all(tile) - truth)[:, hole].mean()
    assert np.abs(oracle.everywhere(tile, truth, hole) - truth)[:, hole].mean() <= honest + 1e-6
    assert np.abs(oracle.nearby(tile, truth, hole, 6) - truth)[:, hole].mean() < honest


def test_without_references_time_peers_fill_nothing() -> None:
    tile = _tile(_texture(11))
    for method in TIME:
        filled, _ = method.make({})(_Sample(tile))  # type: ignore[arg-type]
        assert np.isnan(filled[:, _hole()]).all()


def test_settings_in_names() -> None:
    method = methods.find("opencv-ns?radius=3")
    assert method.settings == {"radius": 3} and method.peer
    assert methods.find(methods.spelled("kriging", {"model": "spherical"})).settings == {"model": "spherical"}
    assert methods.find("guided@best").group == "ours"
    with pytest.raises(Exception, match="no method gided"):
        methods.find("gided")


def test_every_tuned_setting_is_of_its_grid() -> None:
    for method in methods.PEERS:
        settings = methods.find(method.name).settings
        assert not settings or dict(settings) in [dict(entry) for entry in method.grid]
