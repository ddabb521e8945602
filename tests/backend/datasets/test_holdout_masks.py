"""Masks that hide known pixels: shares, seeds, and a store that gives back the same bits."""

import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from terramend.backend.datasets import holdout_masks
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Window


def valid(seed=0, shape=(96, 80)):
    out = np.ones(shape, bool)
    out[: 20 + seed % 20, :30] = False
    return out


@given(st.sampled_from(holdout_masks.KINDS), st.integers(0, 10**6))
@settings(max_examples=15)
def test_ten_to_fifty_percent_of_the_valid_pixels(kind, seed):
    known = valid(seed)
    flags = holdout_masks.draw(kind, known, seed)
    assert not (flags & ~known).any()
    assert 0.1 - 1e-3 <= flags.sum() / known.sum() <= 0.5 + 1e-3
    np.testing.assert_array_equal(flags, holdout_masks.draw(kind, known, seed))


def test_pixels_are_scattered_and_clouds_are_not():
    known = np.ones((128, 128), bool)
    pixels = holdout_masks.draw("pixels", known, 1, shares=(0.3, 0.3))
    clouds = holdout_masks.draw("clouds", known, 1, shares=(0.3, 0.3))
    assert pixels.sum() == clouds.sum() == round(0.3 * 128 * 128)
    assert ndimage.distance_transform_edt(clouds).max() > 8 > 3 > ndimage.distance_transform_edt(pixels).max()


def test_no_valid_pixels_and_no_such_kind():
    nothing = np.zeros((8, 8), bool)
    assert (
        not holdout_masks.draw("pixels", nothing, 0).any()
        and not holdout_masks.draw("clouds", nothing, 0).any()
    )
    with pytest.raises(ValueError, match="holes"):
        holdout_masks.draw("holes", nothing, 0)


def test_a_store_gives_back_the_same_bits(tmp_path):
    known = valid(3, (100, 90))
    windows = [Window(0, 0, 64, 64), Window(0, 26, 64, 64), Window(36, 26, 64, 64), Window(0, 0, 8, 8)]
    masks = holdout_masks.of_windows("zion", "2015-08-18", known, windows, 7)
    assert len({entry.seed for entry in masks}) == len(masks) == 6  # the last window holds no valid pixel
    assert (
        masks.keys()
        == holdout_masks.of_windows("zion", "2015-08-18", known, windows[1:] + windows[:1], 7).keys()
    )
    path = tmp_path / "masks.npz"
    holdout_masks.save(path, masks)
    found = dict(holdout_masks.load(path))
    assert found.keys() == masks.keys() and [p.name for p in tmp_path.iterdir()] == ["masks.npz"]
    for entry, flags in masks.items():
        np.testing.assert_array_equal(found[entry], flags)
        assert entry.share == pytest.approx(flags.sum() / known[Window(*entry.window).slices].sum(), abs=1e-4)
    assert {entry.kind for entry in found} == set(holdout_masks.KINDS)


def test_a_store_that_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path, masks = tmp_path / "masks.npz", {}
    holdout_masks.save(path, masks)
    before = path.read_bytes()

    def full(sink, **_):
        sink.write(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        holdout_masks.save(path, masks)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["cut", "text", "foreign"])
def test_a_damaged_store_is_said(tmp_path, damage):
    path = tmp_path / "masks.npz"
    holdout_masks.save(path, holdout_masks.of_windows("p", "d", valid(), [Window(0, 0, 64, 64)], 1))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "text":
        path.write_text("no masks")
    else:
        np.savez(path, other=np.arange(3))
    with pytest.raises(TerramendError, match=r"masks\.npz cannot be read"):
        list(holdout_masks.load(path))
