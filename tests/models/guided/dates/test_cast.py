"""What is dark in the shape of the gaps, elsewhere: found wherever it lies, and not taken for what it is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.guided.dates import cast

from ..scenes import blobs, moved


def phi(one, other):
    """Correlation of two flags."""
    return float(np.corrcoef(one, other)[0, 1])


@settings(max_examples=25)
@given(st.integers(-45, 45), st.integers(-45, 45), st.integers(0, 99))
def test_shadow_is_found_wherever_it_lies(rows, columns, seed):
    gap = blobs((192, 192), seed, 0.2)
    dark = moved(gap, rows, columns) & ~gap
    if dark.sum() >= 0.04 * gap.size:
        assert cast.fit([gap], [dark], [~gap]) > 0.99


@pytest.mark.parametrize("seed", range(8))
def test_ground_that_is_dark_by_itself_has_another_shape(seed):
    gap, lakes = blobs((256, 256), seed, 0.2), blobs((256, 256), 100 + seed, 0.1)
    assert 0 < cast.fit([gap], [lakes], [~gap]) < 0.45


def test_it_is_the_correlation_of_flags_at_the_best_offset():
    gap, dark = blobs((40, 50), 1, 0.3), blobs((40, 50), 2, 0.3)
    known = np.random.default_rng(3).random(gap.shape) < 0.9
    best = max(
        phi(moved(gap, rows, columns)[known], dark[known])
        for rows in range(-20, 21)
        for columns in range(-20, 21)
        if 200 <= moved(gap, rows, columns)[known].sum() <= 0.9 * known.sum()
    )
    assert cast.fit([gap], [dark], [known]) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_shadow_of_clouds_is_told_from_dark_ground(seed):
    gap = blobs((192, 192), seed, 0.2)
    shadow, fields = moved(gap, 37, -22) & ~gap, blobs((192, 192), 100 + seed, 0.08)
    assert cast.found([gap], [shadow | fields], [~gap])
    assert not cast.found([gap], [fields], [~gap])


@pytest.mark.parametrize("seed", range(6))
def test_shadow_that_shows_here_and_there_is_told_by_its_mirror_images(seed):
    """As in real scenes, where thin clouds and bright ground leave a part of it."""
    gap = blobs((256, 256), seed, 0.25)
    dark = moved(gap, 40, -25) & (np.random.default_rng(seed).random(gap.shape) < 0.25) & ~gap
    assert cast.fit([gap], [dark], [~gap]) < 0.5
    assert cast.found([gap], [dark], [~gap])


def test_a_shape_that_is_its_own_mirror_image_proves_nothing():
    """A round cloud, and a round lake."""
    rows, columns = np.indices((192, 192))
    gap = np.hypot(rows - 60, columns - 60) < 20
    lake = np.hypot(rows - 120, columns - 110) < 20
    assert cast.fit([gap], [lake], [~gap]) > 0.9
    assert not cast.found([gap], [lake], [~gap])


def test_looks_are_judged_together():
    gaps = [blobs((128, 128), seed, 0.2) for seed in (1, 2)]
    same = [moved(gap, 30, -20) & ~gap for gap in gaps]
    ways = [same[0], moved(gaps[1], -30, 20) & ~gaps[1]]
    known = [~gap for gap in gaps]
    assert cast.fit(gaps, same, known) > 0.99 > 0.8 > cast.fit(gaps, ways, known)


def test_a_large_scene_is_seen_smaller():
    gap = blobs((1300, 1100), 5, 0.2)
    assert cast.fit([gap], [moved(gap, 170, -120) & ~gap], [~gap]) > 0.95


def test_nothing_is_said_of_too_little():
    gap = blobs((192, 192), 1, 0.2)
    speck, everything = np.zeros_like(gap), np.ones_like(gap)
    speck[100, 100:120] = True
    for dark in (speck, everything, np.zeros_like(gap)):
        assert cast.fit([gap], [dark], [~gap]) == 0
    assert cast.fit([gap], [moved(gap, 9, 9)], [np.zeros_like(gap)]) == 0
    small = np.zeros_like(gap)
    small[:10, :10] = True
    assert cast.fit([small], [moved(small, 40, 40)], [~small]) == 0
