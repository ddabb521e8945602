"""AlignDiff without torch: the hint, the sampler and the reconstructor, over networks simple enough to foresee."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
from terramend.models import registry, threads
from terramend.models.aligndiff import hint as hints
from terramend.models.aligndiff.model import AlignDiff, _span, assemble
from terramend.models.aligndiff.sampling import PAPER, PRESETS, drawn_towards, generate
from terramend.models.base import Reference, Source, Tile
from terramend.models.diffusion import sampler, schedules

SCHEDULE = schedules.make("scaled-linear", 1000)


@dataclass
class Blocks:
    """Latents are means of 8 x 8 blocks; the network says x0 = the prior + `shift` (a channel each band)."""

    shift: float = 0.0
    bands: int = 1
    factor: int = 8
    multiple: int = 16
    schedule: schedules.Schedule = SCHEDULE
    predicts: str = "x0"
    weights_sha256: str | None = None
    seen: list = field(default_factory=list)

    def encode(self, image):
        n, k, height, width = image.shape
        return image.reshape(n, k, height // 8, 8, width // 8, 8).mean((3, 5)).astype(np.float32)

    def decode(self, latents):
        return latents.repeat(8, 2).repeat(8, 3)

    def context(self, text, place):
        self.seen.append(("context", text, place))
        return np.zeros((1, 1, 1), np.float32)

    def denoise(self, x, t, context, hint, prior):
        self.seen.append((t, x.copy(), hint))
        return np.broadcast_to(prior + np.float32(self.shift), x.shape).copy()


def made(networks, **settings):
    prior = registry.find("harmonic").create()
    return AlignDiff(networks, prior, **{"preset": PRESETS["default"], **settings})


def scene(bands=2, height=48, width=64, terrain=True, seed=0):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    truth = np.stack([0.2 + 0.05 * np.sin(x / 9 + b) + 0.05 * np.cos(y / 11) for b in range(bands)])
    truth = (truth + 0.005 * random.standard_normal(truth.shape)).astype(np.float32)
    gap = np.zeros(truth.shape, bool)
    gap[:, 16:30, 20:41] = True
    relief = np.stack([40 * np.sin(x / 7) + y, np.full_like(x, 0.1, float), np.full_like(x, np.nan, float)])
    image = np.where(gap, np.nan, truth).astype(np.float32)
    return Tile(image, gap, terrain=relief.astype(np.float32) if terrain else None), truth


def filled(model, tile):
    return model.predict(tile, model.prepare(tile))


@pytest.mark.parametrize("quality", list(PRESETS))
def test_networks_that_add_nothing_leave_the_priors_fill(quality) -> None:
    tile, _ = scene()
    said = filled(made(Blocks(), preset=PRESETS[quality], samples=2), tile)
    harmonic = registry.find("harmonic").create()
    prior = harmonic.predict(tile, harmonic.prepare(tile))
    np.testing.assert_allclose(said.mean, prior.mean, atol=2e-6)
    assert not np.isfinite(said.mean[~tile.gaps]).any()
    assert (said.source[tile.gaps.any(0)] == Source.GENERATED).all()
    assert (said.source[~tile.gaps.any(0)] == Source.VALID).all()
    assert (said.std[tile.gaps] >= prior.std[tile.gaps] * (1 - 1e-6)).all()


def test_what_lies_beyond_the_networks_range_is_the_priors() -> None:
    tile, _ = scene(bands=1)
    image = tile.image.copy()
    rim = ~tile.gaps[0] & (cv2.dilate(tile.gaps[0].astype(np.uint8), np.ones((3, 3))) > 0)
    image[0, rim] = 3.0  # the gap lies in snow, which the rest of the scene has none of
    tile = replace(tile, image=image)
    harmonic = registry.find("harmonic").create()
    prior = harmonic.predict(tile, harmonic.prepare(tile)).mean[tile.gaps]
    mean, spread = image[tile.valid].mean(), image[tile.valid].std()
    assert (prior > mean + 2 * hints.CLIP * spread).mean() > 0.9
    np.testing.assert_allclose(filled(made(Blocks()), tile).mean[tile.gaps], prior, rtol=1e-5)


def test_an_unknown_sun_is_no_deep_shadow() -> None:
    """The mean over all directions that light of one height may come from, on a slope that faces any way."""
    slope = np.linspace(0, 1.2, 5, dtype=np.float32)
    terrain = np.stack([np.arange(5.0), slope, np.full(5, np.nan)]).astype(np.float32)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, 720, endpoint=False)[:, None]
    height = np.arcsin(hints.UNLIT)
    light = np.cos(slope) * np.sin(height) + np.sin(slope) * np.cos(height) * np.cos(azimuth)
    np.testing.assert_allclose(hints.relief(terrain)[2, 0], light.mean(0), atol=1e-6)
    terrain[:, 0, 2] = np.nan  # a hole in the DEM is no ground, lit or not
    assert not hints.relief(terrain)[:, 0, 2].any()
    terrain[2] = 0.3
    np.testing.assert_allclose(hints.relief(terrain)[2, 0, [0, 1, 3, 4]], 0.3)


def test_flat_ground_is_not_blown_up() -> None:
    height = np.random.default_rng(1).uniform(0, 4, (1, 40, 50)).astype(np.float32)
    level = np.concatenate([height, np.zeros((2, 40, 50), np.float32)])
    np.testing.assert_allclose(hints.relief(level)[0], (height[0] - np.median(height)) / 10, atol=1e-6)
    level[0] *= 100
    low, middle, high = np.percentile(level[0], (25, 50, 75))
    np.testing.assert_allclose(hints.relief(level)[0], (level[0] - middle) / (high - low), atol=1e-5)


def test_a_date_with_other_or_fewer_bands_or_hardly_a_pixel_in_common_is_no_last_clear_date() -> None:
    image = np.random.default_rng(2).uniform(0.1, 0.3, (2, 20, 20)).astype(np.float32)
    mean, spread = np.full(2, 0.2), np.full(2, 0.05)
    rare = np.full_like(image, np.nan)
    rare[:, 0, :7] = 0.2 + image[:, 0, :7]
    dates = Reference(image[:1], 3), Reference(rare, 5), Reference(image, 1, alike=False)
    assert hints.last_clear(dates, [0, 1], image, mean, spread) is None
    assert (hints.last_clear(dates, [0], image[:1], mean[:1], spread[:1]).index == 0).all()


def test_the_deviation_is_that_of_the_samples_and_of_the_prior() -> None:
    apart = np.array([-0.1, 0.0, 0.3], np.float32)

    class Samples(Blocks):
        def denoise(self, x, t, context, hint, prior):
            return prior + apart[:, None, None, None] + np.zeros_like(x)

    tile, _ = scene(bands=1)
    said = filled(made(Samples(), samples=3), tile)
    harmonic = registry.find("harmonic").create()
    prior = harmonic.predict(tile, harmonic.prepare(tile))
    unit = 2 * tile.image[tile.valid].astype(np.float64).std()
    expected = np.hypot(unit * apart.std(ddof=1), prior.std[tile.gaps])
    np.testing.assert_allclose(said.std[tile.gaps], expected, rtol=1e-3)


def test_the_surroundings_guide_the_last_third_of_the_steps() -> None:
    tile, _ = scene(bands=1)
    seen = []
    for guidance in (0.0, 1.0):
        networks = Blocks(shift=0.5)
        filled(made(networks, guidance=guidance), tile)
        seen.append([x for t, x, _ in (entry for entry in networks.seen if entry[0] != "context")])
    same = [np.array_equal(one, other) for one, other in zip(*seen, strict=True)]
    assert same == [True] * 6 + [False]  # of 7 steps the last 2 are guided, which the one after them shows


def test_what_the_networks_add_comes_out_in_reflectance() -> None:
    tile, _ = scene(bands=1)
    plain, more = (filled(made(Blocks(shift)), tile).mean[tile.gaps] for shift in (0.0, 0.1))
    spread = tile.image[tile.valid].astype(np.float64).std()
    np.testing.assert_allclose(more - plain, 0.1 * 2 * spread, rtol=1e-3)  # a unit is two spreads


def test_known_latents_are_noised_anew_at_every_step_and_never_what_the_network_says() -> None:
    random = np.random.default_rng(3)
    image = random.normal(0, 0.4, (1, 512, 512)).astype(np.float32)
    gap = np.zeros((512, 512), bool)
    gap[200:260, 200:300] = True
    networks = Blocks(shift=9.0)  # would show wherever it is believed

    def noise(index):
        return np.random.default_rng([5, index]).standard_normal((1, 1, 64, 64)).astype(np.float32)

    given = hints.hint(image, gap, image, None, None)
    context = np.zeros((1, 1, 1), np.float32)
    generate(networks, image, gap, given, context, noise, PAPER)
    clean, hidden = networks.encode(image[None]), hints.latent_gap(gap, 8)
    steps = [entry for entry in networks.seen if entry[0] != "context"]
    assert len(steps) == 45  # 50 steps at strength 0.9
    assert steps[0][0] == sampler.spaced(1000, 50, 0.9)[0] == 900
    for t, x, _ in steps:
        bar = SCHEDULE.bar[t - 1]
        left = (x - np.sqrt(bar) * clean)[..., ~hidden] / np.sqrt(1 - bar)
        assert abs(left.mean()) < 0.08 and abs(left.std() - 1) < 0.08, t


def test_every_band_sees_the_same_noise_and_seeds_differ() -> None:
    tile, _ = scene(bands=2)
    tile = replace(tile, image=tile.image[[0, 0]])
    networks = Blocks()
    said = filled(made(networks, preset=PAPER), tile)
    starts = [x for t, x, _ in networks.seen if t == 900]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(said.mean[0], said.mean[1])
    other = Blocks()
    filled(made(other, preset=PAPER, seed=1), tile)
    assert np.abs(next(x for t, x, _ in other.seen if t == 900) - starts[0]).max() > 0.5


def test_overlapping_tiles_see_the_same_noise_at_the_same_place() -> None:
    tile, _ = scene(bands=1, height=96, width=96)
    left, right = Blocks(), Blocks()
    filled(made(left), replace(tile, row=40, column=24))
    shifted = replace(
        tile,
        image=tile.image[:, 8:, 8:],
        gaps=tile.gaps[:, 8:, 8:],
        terrain=tile.terrain[:, 8:, 8:],
        row=48,
        column=32,
    )
    filled(made(right), shifted)
    first, second = (next(e[1] for e in networks.seen if e[0] != "context") for networks in (left, right))
    # The windows begin at scene rows 32 and 48 and columns 16 and 32, multiples of 16: two latents apart.
    assert _span(tile.gaps[0], 0, replace(tile, row=40), 16) == (-8, 88)
    pair = (x[0, 0] - x.mean() for x in (first[..., 2:8, 2:8], second[..., :6, :6]))
    assert np.corrcoef(*(x.ravel() for x in pair))[0, 1] > 0.95


@pytest.mark.parametrize("bands", [1, 4, 13])
@pytest.mark.parametrize("terrain", ["none", "partial", "flat", "sun"])
def test_any_number_of_bands_with_any_dem(bands, terrain) -> None:
    tile, _ = scene(bands, terrain=terrain != "none")
    if terrain == "partial":
        tile.terrain[:, :, 30:] = np.nan
    if terrain == "flat":
        tile.terrain[0], tile.terrain[1] = 12.0, 0.0
    if terrain == "sun":
        tile.terrain[2] = 0.7
    networks = Blocks(0.05)
    said = filled(made(networks), tile)
    assert np.isfinite(said.mean[tile.gaps]).all()
    given = networks.seen[-1][2][0]
    assert np.isfinite(given).all() and np.abs(given).max() <= 4
    known = given[3]
    assert known.max() == (terrain != "none")
    if terrain == "partial":
        assert 0 < known.mean() < 1 and not given[:3, known == 0].any()
    if terrain == "flat":
        assert not given[:2].any() and known.all()
        np.testing.assert_allclose(given[2], hints.UNLIT)
    if terrain == "sun":
        np.testing.assert_allclose(given[2], 0.7, rtol=1e-6)


def test_bands_that_are_drawn_together_are_found_by_their_wavelengths() -> None:
    tile, _ = scene(bands=4)
    tile = replace(tile, wavelengths=(490.0, 1610.0, 560.0, 665.0))
    said = filled(made(Blocks(bands=3), wavelengths=(665.0, 560.0, 490.0)), tile)
    done = [bool(np.isfinite(band).any()) for band in said.mean]
    assert done == [True, False, True, True]
    nothing = filled(made(Blocks(bands=3), wavelengths=(2200.0, 560.0, 490.0)), tile)
    assert (nothing.source[tile.gaps.any(0)] == Source.UNFILLED).all()


def test_nothing_is_drawn_where_nothing_is_known_or_nothing_is_asked() -> None:
    tile, truth = scene()
    nowhere = replace(tile, image=np.full_like(tile.image, np.nan), gaps=np.ones_like(tile.gaps))
    said = filled(made(Blocks()), nowhere)
    assert not np.isfinite(said.mean).any() and (said.source == Source.UNFILLED).all()
    whole = replace(tile, image=truth, gaps=np.zeros_like(tile.gaps))
    networks = Blocks()
    said = filled(made(networks), whole)
    assert not np.isfinite(said.mean).any() and not networks.seen


def test_a_run_stops_between_two_steps() -> None:
    tile, _ = scene(bands=1)
    networks = Blocks()

    def steps():
        return sum(entry[0] != "context" for entry in networks.seen)

    def check():
        if steps() == 3:
            raise InterruptedError

    with threads.allowed(1, check), pytest.raises(InterruptedError):
        filled(made(networks), tile)
    assert steps() == 3


def test_prompts_and_references_reach_the_networks() -> None:
    tile, truth = scene(bands=1)
    older, newer = truth * 1.5 + 0.1, truth * 0.7
    newer = np.where(np.arange(64) < 30, newer, np.nan).astype(np.float32)
    tile = replace(
        tile,
        references=(Reference(older.astype(np.float32), -73), Reference(newer, 10)),
        wavelengths=(842.0,),
    )
    networks = Blocks()
    said = filled(made(networks, place="Nowhere"), tile)
    assert networks.seen[0][1] == "<AlignDiff> Nowhere, unknown, unknown, NIR"
    given = networks.seen[-1][2][0]
    prior, last, seen, age = given[6], given[7], given[8], given[9]
    assert seen.all()
    assert age[24, 20] == pytest.approx(10 / 365) and age[24, 40] == pytest.approx(73 / 365)
    spread = tile.image[tile.valid].astype(np.float64).std()
    aim = (truth[0] - tile.image[tile.valid].mean(dtype=np.float64)) / (2 * spread)
    # Both dates are linear in the target, so what is matched is the target.
    np.testing.assert_allclose(last[16:30, 20:41], aim[16:30, 20:41], atol=0.05)
    assert np.abs(prior[16:30, 20:41] - aim[16:30, 20:41]).mean() > 0.01
    assert said.mean.shape == tile.image.shape


def test_a_date_that_the_prior_moved_is_seen_where_it_was_moved_to() -> None:
    random = np.random.default_rng(0)
    truth = 0.2 + 0.05 * cv2.GaussianBlur(random.standard_normal((144, 144)).astype(np.float32), (0, 0), 1.5)
    image, gap = truth[None, 8:-8, 8:-8].copy(), np.zeros((1, 128, 128), bool)
    gap[:, 50:80, 40:76] = True
    off = truth[None, 5:-11, 10:-6]  # the ground lies three rows further down there, and two columns left
    tile = Tile(np.where(gap, np.float32(np.nan), image), gap, (Reference(off, -5),))
    networks = Blocks()
    model = replace(made(networks), prior=registry.find("guided").create())
    state = model.prepare(tile)
    assert state.findings.offsets == ((3, -2),)
    model.predict(tile, state)
    (hint,) = networks.seen[-1][2]
    wanted = (image[0] - state.mean[0]) / (2 * state.spread[0])
    np.testing.assert_allclose(hint[7][gap[0]], wanted[gap[0]], atol=0.02)  # the last clear date


def test_guidance_moves_the_gaps_statistics_towards_the_surroundings() -> None:
    random = np.random.default_rng(0)
    around = random.normal(1.0, 0.5, (3, 20, 20)).astype(np.float32)
    hidden = np.zeros((20, 20), bool)
    hidden[5:15, 5:15] = True
    clean = random.normal(-1.0, 0.1, (2, 3, 20, 20)).astype(np.float32)
    half, full = (drawn_towards(clean, around, hidden, share) for share in (0.5, 1.0))
    aim = around[:, ~hidden]
    np.testing.assert_allclose(full[0][:, hidden].mean(1), aim.mean(1), atol=1e-5)
    np.testing.assert_allclose(full[0][:, hidden].std(1), aim.std(1), atol=1e-5)
    np.testing.assert_allclose(half, (clean + full) / 2, atol=1e-6)
    np.testing.assert_array_equal(full[..., ~hidden], clean[..., ~hidden])
    np.testing.assert_array_equal(drawn_towards(clean, around, np.ones_like(hidden), 1.0), clean)


def test_latents_that_touch_a_hidden_pixel_are_hidden_with_their_neighbours() -> None:
    gap = np.zeros((48, 48), bool)
    gap[23, 24] = True
    expected = np.zeros((6, 6), bool)
    expected[1:4, 2:5] = True
    np.testing.assert_array_equal(hints.latent_gap(gap, 8), expected)


def test_the_observation_inside_the_gap_is_never_read() -> None:
    gap = np.zeros((16, 16), bool)
    gap[4:9] = True
    image, prior = np.full((1, 16, 16), 0.3, np.float32), np.full((1, 16, 16), 0.2, np.float32)
    leaky = np.where(gap, np.float32(77), image)
    np.testing.assert_array_equal(
        hints.hint(image, gap, prior, None, None), hints.hint(leaky, gap, prior, None, None)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"prior": "mean"},
        {"steps": "0"},
        {"steps": "many"},
        {"samples": "0"},
        {"guidance": "2"},
        {"prompt": "{planet}"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong) -> None:
    right = {
        "prior": "guided", "samples": "", "steps": "", "prompt": "", "region": "", "guidance": "0",
    }  # fmt: skip
    assert assemble(Blocks(), (), "best", 0, **right).preset == PAPER
    with pytest.raises(ValueError):
        assemble(Blocks(), (), "best", 0, **{**right, **wrong})
