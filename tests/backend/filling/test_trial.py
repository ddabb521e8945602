"""What `auto` measures: hidden pixels stay hidden, the first candidate is left only for clear reasons."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from terramend.backend.errors import Notice, together
from terramend.backend.filling import trial
from terramend.backend.filling.choose import Facts, choose, tried_reason, untried_reason
from terramend.backend.request import FillRequest
from terramend.models import threads
from terramend.models.base import Prediction, Reference, Source, Tile
from terramend.models.registry import find

from ..conftest import blobs, landscape

REQUEST = FillRequest(target=("a.tif",), output="b.tif")
AS_IT_WAS = Notice("reason.surroundings")
PAIR = trial.candidates(1, False, False)


def scene(seed: int = 0, references: int = 1) -> tuple[Tile, np.ndarray]:
    truth = (landscape(2, 200, 220, seed) * 1e-4).astype(np.float32)
    gaps = np.broadcast_to(blobs(200, 220, 0.2), truth.shape).copy()
    others = tuple(
        Reference(truth * np.float32(0.9) + np.float32(0.01), 5, str(i)) for i in range(references)
    )
    return Tile(np.where(gaps, np.float32(np.nan), truth), gaps, others), truth


class Errs:
    """Fills with the truth plus an error that depends on what it is shown; remembers what it saw."""

    def __init__(self, truth, with_references, alone):
        self.truth, self.errors, self.seen = truth, (alone, with_references), []

    def prepare(self, overview):
        self.seen.append(overview)

    def predict(self, tile, state):
        self.seen.append(tile)
        mean = self.truth + np.float32(self.errors[bool(tile.references)])
        plane = mean.shape[1:]
        nobody = np.full(plane, -1, np.int16)
        return Prediction(mean, np.zeros_like(mean), np.full(plane, Source.SURROUNDINGS, np.uint8), nobody)


@pytest.mark.parametrize(
    "references, terrain, sar, words",
    [
        (1, False, False, ["the other date", "the surroundings alone"]),
        (3, True, False, ["3 other dates", "the terrain alone", "the surroundings alone"]),
        (0, True, True, ["the terrain and radar", "the surroundings alone"]),
        (0, False, False, ["the surroundings alone"]),
    ],
)
def test_candidates_are_what_makes_sense(references, terrain, sar, words):
    assert [way.words for way in trial.candidates(references, terrain, sar)] == words


def test_ways_tried_side_by_side_say_what_they_say_in_turn():
    model = find("guided").create("fast")
    tiles = [scene(seed)[0] for seed in (1, 2)]
    alone = trial.compare(model, PAIR, tiles)
    with threads.allowed(3):
        assert trial.compare(model, PAIR, tiles) == alone
    assert len(alone) == 2


def test_errors_are_those_of_the_hidden_pixels_which_nobody_sees():
    tile, truth = scene()
    model = Errs(truth, 0.01, 0.03)
    tried = trial.compare(model, PAIR, [tile, tile])
    assert [one.rmse for one in tried] == pytest.approx([0.01, 0.03], rel=1e-3)
    assert [one.chosen for one in tried] == [True, False]
    with_reference, _, alone, _ = model.seen[:4]
    assert with_reference.references and not alone.references
    hidden = np.isfinite(tile.image) & np.isnan(alone.image)
    assert hidden.sum() * 2 == tried[0].samples and hidden.mean() > 0.02
    assert all(np.isnan(shown.image[hidden]).all() and shown.gaps[hidden].all() for shown in model.seen)


@pytest.mark.parametrize("alone, leaves", [(0.0095, False), (0.008, True)])
def test_the_first_way_is_left_only_for_a_clearly_better_one(alone, leaves):
    tile, truth = scene()
    tried = trial.compare(Errs(truth, 0.01, alone), PAIR, [tile])
    assert tried[1].chosen == leaves
    sentence = together(tried_reason(choose(REQUEST, Facts(references=1))[1], tried))
    assert "0.0100" in sentence and f"{alone:.4f}" in sentence
    assert "in the file's own values" in together(tried_reason(AS_IT_WAS, tried, "values")) or leaves
    assert ("left out" in sentence) == leaves and ("too close" in sentence) != leaves


def test_one_window_that_disagrees_keeps_the_first_way():
    tile, truth = scene()

    class Torn(Errs):
        def predict(self, tile, state):
            said = super().predict(tile, state)
            worse = len(tile.wavelengths) > 0 and not tile.references
            return replace(said, mean=said.mean + np.float32(0.05 if worse else 0))

    both = [tile, replace(tile, wavelengths=(490.0, 842.0))]
    assert trial.compare(Errs(truth, 0.1, 0.01), PAIR, both)[1].chosen
    tried = trial.compare(Torn(truth, 0.1, 0.05), PAIR, both)  # better in the mean, not everywhere
    assert tried[1].rmse < trial.CLEARLY * tried[0].rmse and tried[0].chosen


def test_guided_takes_a_good_date_and_says_the_same_twice():
    tile, _ = scene()
    model = find("guided").create("fast")
    first, second = (trial.compare(model, PAIR, [tile]) for _ in range(2))
    assert first == second and first[0].chosen and first[0].rmse < 0.5 * first[1].rmse


def test_nothing_is_decided_on_few_pixels():
    tile, truth = scene()
    few = replace(tile, image=np.where(np.arange(220) < 6, tile.image, np.float32(np.nan)))
    assert trial.compare(Errs(truth, 0.01, 0.03), PAIR, [few]) == ()
    assert tried_reason(AS_IT_WAS, ()) == (AS_IT_WAS,)


def test_inspection_says_that_filling_will_try():
    reason = choose(REQUEST, Facts(references=1))[1]
    assert "hidden pixels" in together(untried_reason(reason, REQUEST, Facts(references=1)))
    assert untried_reason(reason, REQUEST, Facts()) == (reason,)
    assert untried_reason(reason, replace(REQUEST, model="guided"), Facts(references=1)) == (reason,)


@pytest.mark.parametrize("references", [0, 1, 3])
@pytest.mark.parametrize("terrain", [False, True])
@pytest.mark.parametrize("sar", [False, True])
def test_what_is_tried_is_told_in_whole_sentences(references, terrain, sar):
    ways = trial.candidates(references, terrain, sar)
    if len(ways) == 1:
        return
    reason = choose(REQUEST, Facts(references, terrain, sar))[1]
    for best in range(len(ways)):
        tried = [trial.Tried(way, 0.02 + 0.01 * i, 900, i == best) for i, way in enumerate(ways)]
        told = [one.to_json() for one in tried_reason(reason, tried)]
        assert json.loads(json.dumps(told)) == told
        named = [way.words for way in ways] if best == 0 else [ways[0].words, ways[best].words]
        assert all(words in told[-1]["message"] for words in named)
