"""What Align-CR sees: radar planes, band slots, the harmonic start."""

import math

import numpy as np
import pytest
from terramend.models.align_cr import inputs

VV = np.array([[-30.0, -25.0, -12.5], [0.0, 5.0, np.nan]], np.float32)
VH = np.array([[-40.0, -32.5, -16.25], [0.0, np.nan, np.nan]], np.float32)


def test_radar_is_clipped_and_scaled():
    vv, vh, known = inputs.radar(np.stack([VV, VH]), (2, 3))
    assert np.allclose(vv, [[0, 0, 0.5], [1, 1, 0]])
    assert np.allclose(vh, [[0, 0, 0.5], [1, 1 - 2 / 32.5, 0]])  # the last one by VV - 7 dB
    assert known.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_one_polarisation_stands_for_the_other():
    nothing = np.full_like(VV, np.nan)
    one = inputs.radar(np.stack([VV, nothing]), (2, 3))
    assert np.array_equal(one, inputs.radar(np.stack([VV, VV - 7]), (2, 3)))
    other = inputs.radar(np.stack([nothing, VH]), (2, 3))
    assert np.array_equal(other, inputs.radar(np.stack([VH + 7, VH]), (2, 3)))


def test_without_radar_the_planes_are_empty():
    assert not inputs.radar(None, (2, 3)).any()
    assert not inputs.radar(np.full((2, 2, 3), np.nan, np.float32), (2, 3)).any()


@pytest.mark.parametrize(
    ("wavelengths", "bands", "expected"),
    [
        (inputs.SLOTS, 6, [0, 1, 2, 3, 4, 5]),
        ((840, 660, 560, 485), 4, [3, 2, 1, 0, None, None]),  # any order
        ((443, 490, 560, 665, 705, 740, 783, 842, 865, 945, 1375, 1610, 2190), 13, [1, 2, 3, 7, 11, 12]),
        ((482, 561, 655, 865, 1609, 2201), 6, [0, 1, 2, 3, 4, 5]),  # Landsat 8
        ((945.0,), 1, [None] * 6),
        ((750.0,), 1, [None] * 6),  # red edge, between red and near infrared
        ((842.0, math.nan), 2, [None, None, None, 0, None, None]),
        ((math.nan,) * 4, 4, [0, 1, 2, 3, None, None]),  # no centres at all: by order
        ((), 3, [0, 1, 2, None, None, None]),
        ((), 13, [None] * 6),
    ],
)
def test_bands_find_their_slots(wavelengths, bands, expected):
    assert inputs.slots(wavelengths, bands) == expected


def test_no_band_serves_two_slots():
    assert inputs.slots((525.0,), 1) == [0, None, None, None, None, None]


def test_stack_has_ten_finite_planes_in_order():
    image = np.full((6, 4, 5), 0.3, np.float32)
    image[5] = np.nan
    image[0, 0, 0] = 1.7
    gap = np.zeros((4, 5), bool)
    gap[1, 2] = True
    made = inputs.stack(image, gap, None)
    assert made.shape == (10, 4, 5) and made.dtype == np.float32 and np.isfinite(made).all()
    assert (
        made[0, 0, 0] == 1 and not made[5].any() and np.array_equal(made[6] > 0, gap) and not made[7:].any()
    )


def test_start_is_harmonic_and_keeps_what_was_observed():
    rows, columns = np.mgrid[:40, :44]
    plane = (0.1 + 0.002 * rows + 0.001 * columns).astype(np.float32)
    image = np.stack([plane, 2 * plane])
    hidden = image.copy()
    hidden[:, 10:25, 12:30] = np.nan
    made = inputs.start(hidden)
    assert np.array_equal(made[np.isfinite(hidden)], image[np.isfinite(hidden)])
    assert np.abs(made - image).max() < 2e-3
    assert np.isnan(inputs.start(np.full((1, 5, 5), np.nan, np.float32))).all()


def test_despeckling_calms_speckle_and_keeps_edges():
    random = np.random.default_rng(0)
    field = np.full((40, 40), -8.0, np.float32)
    field[:, 20:] = -20.0
    sar = np.stack([field, field - 7]) + random.normal(0, 1, (2, 40, 40)).astype(np.float32)
    sar[0, 5, 5] = np.nan
    made = inputs.calmed(sar)
    assert np.array_equal(np.isnan(made), np.isnan(sar))
    for side in (slice(0, 20), slice(20, 40)):
        assert np.nanstd(made[:, :, side] - np.stack([field, field - 7])[:, :, side]) < 0.6
    assert np.nanmean(made[:, :, 19] - made[:, :, 20]) == pytest.approx(12, abs=0.6)
    assert np.isnan(inputs.calmed(np.full((2, 3, 3), np.nan, np.float32))).all()
