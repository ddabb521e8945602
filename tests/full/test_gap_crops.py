"""Gaps over `guided` as samples of Diffusion Enhancement."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend.training import de, gap_crops, mend_samples  # noqa: E402
from terramend.backend.training.recipe import load_config  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.mend.inputs import BASE, REFERENCE, SLOTS  # noqa: E402

SIDE = 32


@pytest.fixture
def config(tmp_path):
    """Three stored crops with a prior, its spread and its error."""
    random = np.random.default_rng(0)
    base = np.zeros((3, BASE, SIDE, SIDE), np.float16)
    base[:, gap_crops.PRIOR] = random.normal(0, 1, (3, SIDE, SIDE))
    base[:, gap_crops.SPREAD] = np.log(0.25) / 2  # a spread of a quarter of the band's
    base[:, gap_crops.GAP, 8:24, 8:24] = 1
    target = np.zeros((3, 2, SIDE, SIDE), np.float16)
    target[:, 0, 8:24, 8:24], target[:, 1, 8:24, 8:24] = 2, 1
    np.save(tmp_path / "base.npy", base)
    np.save(tmp_path / "references.npy", np.zeros((3, SLOTS, REFERENCE, SIDE, SIDE), np.float16))
    np.save(tmp_path / "target.npy", target)
    facts = {"crops": 3, "drawn": [["set", "place", "S", "cloud", 3]]}
    (tmp_path / "samples.json").write_text(json.dumps(facts))
    made = load_config("de", "fill")
    made["samples"]["folder"] = str(tmp_path)
    return made


def test_the_truth_is_the_prior_and_its_error(config, tmp_path) -> None:
    drawn = gap_crops.source(config, tmp_path, Watch())(1, 2, 4, SIDE, 1)
    assert drawn["condition"].shape == (4, 2, SIDE, SIDE)
    assert torch.equal(drawn["condition"][:, :1], drawn["reference"])
    assert torch.equal(drawn["condition"][:, 1:], drawn["scored"])
    inside = drawn["scored"].bool()
    clip = config["diffusion"]["clip"]
    expected = (drawn["reference"] + 2 * 0.25 / 2).clamp(-clip, clip)  # two spreads, halved as the image is
    assert torch.allclose(drawn["clean"][inside], expected[inside], atol=2e-3)
    outside = drawn["reference"].clamp(-clip, clip)
    assert torch.allclose(drawn["clean"][~inside], outside[~inside], atol=1e-6)
    again = gap_crops.source(config, tmp_path, Watch())(1, 2, 4, SIDE, 1)
    assert all(torch.equal(drawn[name], again[name]) for name in drawn)
    assert gap_crops.source(config, tmp_path, Watch())(1, 2, 4, SIDE // 2, 2)["clean"].shape[-1] == SIDE // 2


def test_places_that_are_kept_to_choose_by_are_never_drawn(config, tmp_path) -> None:
    held = next(name for name in map(str, range(99)) if mend_samples.is_held_out("set", name))
    facts = {"crops": 3, "drawn": [["set", "place", "S", "cloud", 2], ["set", held, "S", "cloud", 1]]}
    (tmp_path / "samples.json").write_text(json.dumps(facts))
    base = np.load(tmp_path / "base.npy")
    base[2, gap_crops.PRIOR] = 99
    np.save(tmp_path / "base.npy", base)
    draw = gap_crops.source(config, tmp_path, Watch())
    assert max(float(draw(0, step, 4, SIDE, 1)["reference"].max()) for step in range(6)) < 9


def test_a_step_of_training_on_gaps(config, tmp_path) -> None:
    config["coarse"]["size"] = 16
    made = de.recipe(config, tmp_path, Watch())
    terms = made.loss(made.model, made.batch(0, 0), 0)
    terms["loss"].backward()
    assert np.isfinite(float(terms["loss"].detach()))
