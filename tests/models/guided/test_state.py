"""What is known of a scene's bands before anything is learnt."""

import numpy as np
from terramend.models.base import Tile
from terramend.models.guided.state import standard_of


def scene():
    """Four bands: one with wild values under its gap, one of few values, one that is flat, one all gap."""
    image = np.random.default_rng(2).normal(0.3, 0.1, (4, 30, 34)).astype(np.float32)
    gaps = np.zeros(image.shape, bool)
    gaps[0, 5:15, 5:20] = True
    image[0, 5:15, 5:20] = 50
    image[0, 20, 3] = np.nan
    gaps[1] = True
    gaps[1, 0, :5] = False
    image[2] = 0.2
    gaps[3] = True
    return Tile(image, gaps)


def test_bands_are_known_by_what_is_observed_of_them():
    tile = scene()
    known = standard_of(tile)
    seen = [image[~gap & np.isfinite(image)] for image, gap in zip(tile.image, tile.gaps, strict=True)][:3]
    np.testing.assert_allclose(known.mean, [*(band.mean() for band in seen), 0], rtol=1e-5)
    deviations = [seen[0].std(), max(seen[1].std(), 0.1), 1e-4, 0.1]  # five pixels say little, none nothing
    np.testing.assert_allclose(known.deviation, deviations, rtol=1e-5)
    reach = [0.25 * np.ptp(band) + 0.01 for band in seen]
    low, high = ([end(band) for band in seen] for end in (np.min, np.max))
    np.testing.assert_allclose(known.low, [*np.subtract(low, reach), -np.inf], rtol=1e-5)
    np.testing.assert_allclose(known.high, [*np.add(high, reach), np.inf], rtol=1e-5)


def test_scores_are_values_again_and_what_is_not_plausible_is_clipped():
    tile = scene()
    known = standard_of(tile)
    scores = known.scores(tile.image)
    np.testing.assert_allclose(
        scores[0, 0], (tile.image[0, 0] - known.mean[0]) / known.deviation[0], rtol=1e-5
    )
    made = known.values(scores)
    assert made is scores
    np.testing.assert_allclose(made, tile.image, rtol=1e-4)
    known.clip(made)
    assert np.nanmax(made[0]) == known.high[0] < 50
    np.testing.assert_allclose(
        made[1:], np.clip(tile.image[1:], known.low[1:, None, None], known.high[1:, None, None]), rtol=1e-4
    )
