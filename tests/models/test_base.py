"""What the contract between scenes and reconstructors promises."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from terramend.models.base import Findings, Reference, Tile, digest, findings
from terramend.models.mend.model import Mend
from terramend.models.mend.trust import Trust
from terramend.models.registry import find

from .guided.scenes import blobs, texture

OVER_GUIDED = ("align-cr", "aligndiff", "de", "mend")


@pytest.fixture(scope="module")
def troubled() -> Tile:
    """Clouds with haze at their edges, and another date that lies three rows off."""
    gap = blobs((128, 140), 1, 0.25)
    ground, green = texture(gap.shape, 2, bands=2)
    truth = np.stack([0.6 * ground, 0.8 * ground, ground, green])
    away = cv2.distanceTransform((~gap).astype(np.uint8), cv2.DIST_L2, 5)
    veil = np.multiply.outer([1.0, 0.9, 0.8, 0.6], 0.15 * np.exp(-away / 2.5))
    gaps = np.repeat(gap[None], 4, axis=0)
    image = np.where(gaps, np.nan, truth + veil).astype(np.float32)
    other = Reference(np.roll(truth, 3, axis=1).astype(np.float32), days=5)
    return Tile(image, gaps, (other,), wavelengths=(490.0, 560.0, 665.0, 842.0))


@pytest.mark.parametrize("name", ["guided", *OVER_GUIDED])
def test_what_guided_found_amiss_is_told_by_every_method_over_it(troubled, name):
    if name == "mend":
        model = Mend(find("guided").create("fast"), None, Trust({}, {}), "")
    else:
        model = find(name).create("fast")
    found = findings(model.prepare(troubled))
    assert found.offsets == ((3, 0),) and found.haze >= 2


def test_a_state_without_findings_tells_of_none():
    assert findings(None) == findings(object()) == Findings()


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6)], ids=["all bands", "each band"])
def test_hidden_samples_are_gaps_and_the_rest_of_the_tile_is_as_it_was(shape):
    random = np.random.default_rng(3)
    image = random.random((2, 5, 6), np.float32)
    gaps = random.random(image.shape) < 0.3
    image[gaps] = np.nan
    tile = Tile(image, gaps, (Reference(image, 3),), sar=image, row=7, column=9, detail=(Tile(image, gaps),))
    mask = random.random(shape) < 0.4
    seen = tile.hiding(mask)
    np.testing.assert_array_equal(seen.gaps, gaps | mask)
    np.testing.assert_array_equal(seen.image, np.where(mask, np.nan, image))
    assert seen.image.dtype == np.float32 and seen.valid.sum() == (~gaps & ~mask).sum()
    assert digest(replace(seen, image=image, gaps=gaps)) == digest(tile)
