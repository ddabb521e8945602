"""The promise that valid samples are bit-identical, on any samples, codes and predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.filling import compose
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.masks.gapmap import GAP, OUTSIDE, VALID
from terramend.backend.raster.mosaic import NO_AGE, Block
from terramend.backend.raster.raster import Band, Raster
from terramend.models.base import Source

DTYPES = ("uint8", "int16", "uint16", "float32")
GAINS = {"uint8": 1 / 255, "int16": 1e-4, "uint16": 1e-4, "float32": 1.0}
HEIGHT, WIDTH = 5, 6
OPAQUE = 200


def recipe_of(roles, predicted, dtype="uint16", nodata=None, to_nodata=False, zero_fill=False, **more):
    """A raster of bands of some roles, of which some optical ones are predicted."""
    gain = GAINS[dtype]
    bands = tuple(
        Band("a.tif", i + 1, "", role, math.nan, dtype, nodata, gain, 0.0) for i, role in enumerate(roles)
    )
    target = Raster("a.tif", Grid(None, (10.0, 0, 0, 0, -10.0, 0), WIDTH, HEIGHT), bands, zero_fill=zero_fill)
    classes = tuple(i for i, role in enumerate(roles) if role == "class")
    scales = (more.pop("scale", 1.0),) * len(roles)
    opaque = (OPAQUE,) * roles.count("alpha")
    return compose.Recipe(target, predicted, classes, dtype, nodata, to_nodata, scales, opaque, **more)


def block_of(mean, std=None, source=Source.REFERENCE, age=7):
    std = np.full_like(mean, 0.5) if std is None else std
    shape = mean.shape[1:]
    return Block(mean, std, np.full(shape, source, np.uint8), np.full(shape, age, np.uint8))


@st.composite
def cores(draw):
    """(recipe, stored samples of any bits, codes, block or None, classed)."""
    roles = draw(
        st.lists(st.sampled_from(("optical", "qa", "class", "index", "alpha")), min_size=1, max_size=5)
    )
    optical = [i for i, role in enumerate(roles) if role == "optical"]
    predicted = tuple(i for i in optical if draw(st.booleans()))
    dtype = draw(st.sampled_from(DTYPES))
    nodata = draw(
        st.sampled_from((None, 0.0, 7.0, 255.0 if dtype == "uint8" else -3.0 if dtype != "uint16" else 9.0))
    )
    recipe = recipe_of(
        roles, predicted, dtype, nodata, nodata is not None and draw(st.booleans()), draw(st.booleans())
    )
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = (len(roles), HEIGHT, WIDTH)
    bits = random.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    stored = bits.view(dtype)[..., 0]  # of floats also NaN of any payload, infinities and subnormal ones
    codes = random.choice(np.array([VALID, GAP, OUTSIDE], np.uint8), shape, p=[0.4, 0.5, 0.1])
    mean = random.normal(0.1, 2, (len(predicted), HEIGHT, WIDTH)).astype(np.float32)
    mean[random.random(mean.shape) < 0.3] = np.nan
    mean[random.random(mean.shape) < 0.2] = 0  # what nodata may stand for
    block = block_of(mean) if draw(st.booleans()) else None
    classed = (codes[list(recipe.class_bands)] == GAP) & (
        random.random((len(recipe.class_bands), HEIGHT, WIDTH)) < 0.5
    )
    return recipe, stored, codes, block, classed


@given(cores())
def test_what_is_no_gap_keeps_its_bits_and_what_was_read_is_not_written_to(core):
    recipe, stored, codes, block, classed = core
    before = stored.copy()
    done = compose.compose(recipe, list(stored), codes, classed, block)
    assert done.samples.dtype == stored.dtype and done.samples.shape == stored.shape
    assert stored.tobytes() == before.tobytes()
    whole = np.dtype(f"u{stored.dtype.itemsize}")
    kept, given_ = done.samples.view(whole), stored.view(whole)
    for index, band in enumerate(recipe.target.bands):
        free = done.restored if band.role == "alpha" else codes[index] == GAP
        np.testing.assert_array_equal(kept[index][~free], given_[index][~free])
        if index not in (*recipe.fill_bands, *recipe.class_bands, *recipe.alpha_bands):
            np.testing.assert_array_equal(kept[index], given_[index])  # nobody asked for it


@given(cores())
def test_a_gap_holds_its_prediction_or_what_was_there_or_nodata_and_is_no_gap_by_chance(core):
    recipe, stored, codes, block, classed = core
    done = compose.compose(recipe, list(stored), codes, classed, block)
    for place, index in enumerate(recipe.fill_bands):
        gap, filled, values = codes[index] == GAP, done.filled[place], done.samples[index]
        said = np.zeros_like(gap) if block is None else np.isfinite(block.mean[place])
        np.testing.assert_array_equal(done.gaps[place], gap)
        np.testing.assert_array_equal(filled, gap & said)
        if filled.any():
            band, limits = recipe.target.bands[index], (0, 0)
            wanted = block.mean[place][filled].astype(np.float64) / band.gain
            if values.dtype.kind != "f":
                limits = np.iinfo(values.dtype).min, np.iinfo(values.dtype).max
                wanted = np.clip(wanted, *limits)
            off = np.abs(values[filled].astype(np.float64) - wanted)
            assert off.max() <= (3.5 if values.dtype.kind != "f" else 1e-5)  # rounding, and steps off nodata
            for value in recipe.forbidden(index):
                assert value is None or not (values[filled] == value).any()
        left = gap & ~filled
        expected = np.full_like(values, recipe.nodata) if recipe.to_nodata else stored[index]
        np.testing.assert_array_equal(values[left], expected[left])
    for place, index in enumerate(recipe.class_bands):
        gap = codes[index] == GAP
        expected = np.full_like(stored[index], recipe.nodata) if recipe.to_nodata else stored[index]
        left = gap & ~classed[place]
        np.testing.assert_array_equal(done.samples[index][left], expected[left])
    for index in recipe.alpha_bands:
        assert (done.samples[index][done.restored] == OPAQUE).all()


@given(cores())
def test_deviation_and_provenance_agree_with_what_was_filled(core):
    recipe, stored, codes, block, classed = core
    done = compose.compose(recipe, list(stored), codes, classed, block)
    std = compose.deviation(recipe, codes, done, block)
    source, age = compose.sources(recipe, codes, done, block)
    for index, band in enumerate(recipe.target.bands):
        assert (std[index][codes[index] == VALID] == 0).all() and np.isnan(
            std[index][codes[index] == OUTSIDE]
        ).all()
        gap = codes[index] == GAP
        if band.role in ("qa", "alpha"):
            assert (std[index][gap] == 0).all()
        elif index not in recipe.fill_bands:
            assert np.isnan(std[index][gap]).all()
    for place, index in enumerate(recipe.fill_bands):
        filled = done.filled[place]
        np.testing.assert_allclose(std[index][filled], 0.5 / recipe.target.bands[index].gain, rtol=1e-6)
        assert np.isnan(std[index][done.gaps[place] & ~filled]).all()
    filled = done.filled.any(axis=0)
    assert (
        (source[filled] == Source.REFERENCE).all()
        and (age[filled] == 7).all()
        and (age[~filled] == NO_AGE).all()
    )
    assert (source[done.gaps.any(axis=0) & ~filled] == Source.UNFILLED).all()
    assert not np.isin(source[~filled], (Source.REFERENCE,)).any()
    alone = done.class_gaps.any(axis=0) & ~done.gaps.any(axis=0)  # only class bands have gaps there
    assert (source[alone] == np.where(classed.any(axis=0), Source.SURROUNDINGS, Source.UNFILLED)[alone]).all()


def test_a_pixel_is_restored_where_all_bands_that_had_gaps_are_filled():
    recipe = recipe_of(("optical", "optical", "alpha"), (0, 1))
    codes = np.full((3, HEIGHT, WIDTH), VALID, np.uint8)
    codes[0, 0, :3] = codes[1, 0, 1:4] = GAP
    mean = np.full((2, HEIGHT, WIDTH), np.float32(0.2))
    mean[1, 0, 2] = np.nan
    stored = np.ones((3, HEIGHT, WIDTH), np.uint16)
    done = compose.compose(recipe, list(stored), codes, np.zeros((0, HEIGHT, WIDTH), bool), block_of(mean))
    assert (
        done.restored[0].tolist() == [True, True, False, True, False, False] and not done.restored[1:].any()
    )
    assert (done.samples[2] == OPAQUE).tolist() == done.restored.tolist()
    assert done.samples[0, 0].tolist() == [2000, 2000, 2000, 1, 1, 1]


@pytest.mark.parametrize("known", [True, False])
def test_where_thin_cloud_is_removed_what_a_method_does_not_know_counts_as_observed(known):
    recipe = recipe_of(("optical", "optical"), (1,), clear=True)
    codes = np.full((2, HEIGHT, WIDTH), GAP, np.uint8)
    codes[:, 0] = OUTSIDE
    mean = np.full((1, HEIGHT, WIDTH), np.float32(0.2))
    mean[0, 1] = np.nan
    kept = compose.changed(codes, recipe, block_of(mean) if known else None)
    assert (kept[0, 1:] == VALID).all() and (kept[:, 0] == OUTSIDE).all() and (kept[1, 1] == VALID).all()
    assert (kept[1, 2:] == (GAP if known else VALID)).all()
    if known:
        done = compose.compose(
            recipe,
            [np.ones((HEIGHT, WIDTH), np.uint16)] * 2,
            kept,
            np.zeros((0, HEIGHT, WIDTH), bool),
            block_of(mean),
        )
        assert (compose.sources(recipe, kept, done, block_of(mean))[0, 2:] == Source.ALTERED).all()


def test_gaps_of_a_class_band_take_the_most_frequent_class_around_them():
    stored = np.full((9, 9), 4, np.uint8)
    stored[:, 5:] = 6
    stored[4, 2] = stored[4, 7] = 99  # what lies under a cloud
    codes = np.full((9, 9), VALID, np.uint8)
    codes[4, 2] = codes[4, 7] = GAP
    inner = (slice(1, 8), slice(1, 8))
    values, classed = compose.classes(stored, codes, inner)
    expected = stored[inner].copy()
    expected[3, 1], expected[3, 6] = 4, 6
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(classed, codes[inner] == GAP)
    _, classed = compose.classes(stored, np.full((9, 9), GAP, np.uint8), inner)
    assert not classed.any()
