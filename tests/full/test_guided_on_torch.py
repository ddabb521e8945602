"""`guided` on torch gives what NumPy and OpenCV give: filters, membrane, whole tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend import device  # noqa: E402
from terramend.models import planes as flat  # noqa: E402
from terramend.models.base import Reference, Tile  # noqa: E402
from terramend.models.classical import membrane  # noqa: E402
from terramend.models.guided import regression as regressions  # noqa: E402
from terramend.models.guided import torch_planes, torch_predict  # noqa: E402
from terramend.models.guided.model import of_quality  # noqa: E402

from ..models.guided.scenes import blobs, texture  # noqa: E402

SHAPES = [(37, 50), (64, 64), (1, 9), (5, 3)]


def scene(shape=(124, 110), bands=4, dates=3, terrain=False, seed=0):
    """Dates that share a part, with gaps of their own, and one band with a gap more."""
    common = texture(shape, seed, bands)
    truth = common + 0.4 * texture(shape, seed + 1, bands)
    gaps = np.broadcast_to(blobs(shape, seed + 2, 0.3), truth.shape).copy()
    gaps[0, 20:40, 70:100] = True
    references = []
    for k in range(dates):
        image = common * (0.8 + 0.1 * k) + 0.1 * texture(shape, seed + 10 + k, bands)
        image[:, blobs(shape, seed + 20 + k, 0.15)] = np.nan
        references.append(Reference(image.astype(np.float32), k - 2))
    height = texture(shape, seed + 30, 3).astype(np.float32) if terrain else None
    image = np.where(gaps, np.nan, truth).astype(np.float32)
    return Tile(image, gaps, tuple(references), terrain=height)


def window(tile, rows, columns, step=1):
    cut = np.s_[:, rows, columns]
    return replace(
        tile,
        image=tile.image[cut],
        gaps=tile.gaps[cut],
        references=tuple(replace(r, image=r.image[cut]) for r in tile.references),
        terrain=None if tile.terrain is None else tile.terrain[cut],
        row=rows.start * step,
        column=columns.start * step,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_filters_are_opencvs(shape):
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    t = torch.as_tensor(x)
    for sigma in (0.5, 1.0, 2.0, 6.0):
        expected = np.stack([flat.blur(plane, sigma) for plane in x])
        np.testing.assert_allclose(torch_planes.blur(t, sigma).numpy(), expected, atol=2e-6)
    for made, place in zip(torch_planes.slopes(t), (0, 1), strict=True):
        np.testing.assert_allclose(made.numpy(), np.stack([flat.slopes(p)[place] for p in x]), atol=2e-6)
    expected = np.stack([flat.enlarge(plane, 3) for plane in x])
    np.testing.assert_allclose(torch_planes.enlarge(t, 3).numpy(), expected, atol=3e-5)  # of steps of 1
    expected = np.stack([flat.block_means(flat.pad_to(plane, 4), 4) for plane in x])
    made = torch_planes.block_means(torch_planes.pad_to(t, 4), 4)
    np.testing.assert_allclose(made.numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cycles", [0, 2, 30])
def test_membranes_are_the_same_each_by_itself(shape, cycles):
    x = np.random.default_rng(1).standard_normal((4, *shape)).astype(np.float32)
    x[1] *= 1e-3  # reaches its tolerance at another time
    x[3] = 0  # has reached it
    known = np.random.default_rng(2).random(shape) < 0.4
    known[0, 0], known[2:20, 10:30] = True, False
    pyramid = membrane.MaskPyramid(known)
    expected = np.stack([membrane.solve(plane, cycles=cycles, pyramid=pyramid) for plane in x])
    made = torch_planes.solve(torch.as_tensor(x), torch_planes.MaskPyramid(torch.as_tensor(known)), cycles)
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("quality", ["fast", "default", "best"])
@pytest.mark.parametrize("dates", [1, 3])
def test_a_tile_is_the_same(quality, dates):
    tile = scene(dates=dates, terrain=dates == 1)
    model = of_quality(quality)
    state = model.prepare(tile)
    same(model, tile, state)


@pytest.mark.parametrize("quality", ["fast", "default"])
def test_a_tile_with_a_hill_above_all_that_is_valid_is_the_same(quality):
    tile, model = scene(dates=1, terrain=True), of_quality(quality)
    tile = replace(tile, terrain=tile.terrain + 9 * blobs(tile.gaps[0].shape, 2, 0.1).astype(np.float32))
    state = model.prepare(tile)
    assert np.isfinite(state.regression.guides.low).all()
    same(model, tile, state)


@pytest.mark.parametrize(("local", "plate"), [(0.6, 0.0), (1.0, 0.4)])
def test_weights_of_the_trial_count_alike(local, plate):
    tile, model = scene((90, 84)), of_quality("best")
    state = model.prepare(tile)
    same(model, tile, replace(state, regression=replace(state.regression, local=local, plate=plate)))


def test_a_series_is_read_by_the_plain_regression_alike():
    tile, model = scene((90, 84), bands=2, dates=10), of_quality("default")
    state = model.prepare(tile)
    assert len(state.regression.global_fit.more) == 2
    same(model, tile, replace(state, regression=replace(state.regression, local=0.5)))


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("quality", ["fast", "default"])
def test_a_tile_of_a_scene_that_was_seen_coarser_is_the_same(quality, close):
    tile = scene((160, 144), seed=50)
    model = of_quality(quality)
    small = replace(
        tile,
        image=tile.image[:, ::4, ::4],
        gaps=tile.gaps[:, ::4, ::4],
        references=tuple(replace(r, image=r.image[:, ::4, ::4]) for r in tile.references),
        step=4,
        pixel_size=(40.0, 40.0),
    )
    if close:
        places = [(slice(0, 80), slice(0, 70)), (slice(80, 160), slice(70, 140))]
        small = replace(small, detail=tuple(window(tile, *place) for place in places))
    state = model.prepare(small)
    assert state.regression.parts[0].field.alike == close
    same(model, window(tile, slice(48, 150), slice(23, 131)), state)


def test_a_tile_without_anything_valid_is_the_same():
    tile = scene(seed=70)
    model = of_quality("default")
    state = model.prepare(tile)
    empty = replace(tile, image=np.full_like(tile.image, np.nan), gaps=np.ones_like(tile.gaps))
    same(model, empty, state)


def test_amounts_on_their_logarithmic_scale_are_the_same():
    def spread(image):
        return (2e-3 * np.exp(20 * (image - 0.25))).astype(np.float32)

    tile, model = scene(bands=1, dates=2), of_quality("default")
    references = tuple(replace(r, image=spread(r.image)) for r in tile.references)
    tile = replace(tile, image=spread(tile.image), references=references)
    state = model.prepare(tile)
    assert state.findings.logarithms
    same(model, tile, state)


@pytest.mark.parametrize("dates", [0, 2])
def test_what_other_bands_tell_is_the_same(dates):
    tile, model = scene(dates=dates), of_quality("default")
    gaps = tile.gaps.copy()
    gaps[1, ::8] = gaps[1, 1::8] = True
    tile = replace(tile, gaps=gaps, image=np.where(gaps, np.float32(np.nan), tile.image))
    state = model.prepare(tile)
    assert state.told
    same(model, tile, state)


def same(model, tile, state):
    plainly = model.predict(tile, state)
    other = replace(model, torch_device="cpu").predict(tile, state)
    np.testing.assert_array_equal(plainly.source, other.source)
    np.testing.assert_array_equal(plainly.reference, other.reference)
    # Rounding, another on each kind of processor, may put an input on the other side of a fern's bar: a pixel
    # in thousands, by a leaf. All else is equal.
    assert_close(other.mean, plainly.mean, apart=0.002 if model.settings.ferns else 0.0)
    assert_close(other.std, plainly.std, apart=0.002 if model.settings.ferns else 0.0)
    if model.settings.ferns:
        same(replace(model, settings=replace(model.settings, ferns=0)), tile, state)
    assert np.isfinite(plainly.mean[tile.gaps]).mean() > 0.9


def assert_close(made, expected, apart):
    """Equal to 1e-5, but for a share of `apart` of the samples, which are equal to 1e-2."""
    np.testing.assert_array_equal(np.isfinite(made), np.isfinite(expected))
    off = np.abs(made - expected)[np.isfinite(expected)]
    assert np.mean(off > 1e-5) <= apart and off.max() < 1e-2


def test_the_kernel_tells_whether_a_device_computes():
    assert torch_planes.kernel_time("cpu") >= 0
    device.torch_probe.cache_clear()
    found = device.torch_probe()
    assert found.computes == torch.cuda.is_available() and (found.computes or found.why)


def test_estimates_come_back_as_numpy():
    tile = scene((64, 60))
    known = regressions.learn(tile, np.nan_to_num(tile.image), regressions.Settings())
    assert known is not None
    said = torch_predict.predict(tile, tile.image, known, regressions.Settings(), "cpu")
    assert said.mean.dtype == said.std.dtype == np.float32
    assert said.there.dtype == bool and said.main.dtype == np.int16
