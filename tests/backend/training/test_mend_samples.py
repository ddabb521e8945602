"""Crops that `mend` learns from: the error is what truth has over the prior, where the truth is known."""

import dataclasses

import numpy as np
from terramend.backend.datasets.gaps import Gap
from terramend.backend.evaluation.cases import Case, Sample
from terramend.backend.training import mend_samples
from terramend.backend.watch import Watch
from terramend.models.base import Prediction, Tile

SIDE = 64


@dataclasses.dataclass
class Prior:
    """Too bright by two of its standard deviations."""

    truth: np.ndarray

    def prepare(self, tile: Tile) -> None:
        """Nothing."""

    def predict(self, tile: Tile, _: None) -> Prediction:
        """In gaps, as a reconstructor says."""
        mean = np.where(tile.gaps, self.truth + np.float32(0.02), np.float32(np.nan))
        std = np.full(mean.shape, 0.01, np.float32)
        return Prediction(mean, std, np.ones((SIDE, SIDE), np.uint8), np.full((SIDE, SIDE), -1, np.int16))


def test_errors_are_of_the_truth_and_count_where_it_is_known(tmp_path, monkeypatch):
    truth = np.random.default_rng(0).uniform(0.1, 0.4, (3, SIDE, SIDE)).astype(np.float32)
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[20:40, 10:50] = True
    scored = hidden.copy()
    scored[:, 40:] = False  # what is there is no truth, but the target's own cloud
    image = np.where(hidden, np.float32(np.nan), truth)
    tile = Tile(image, np.broadcast_to(hidden, truth.shape).copy())
    case = Case("c", "d", "p", "t", "t", (0, 0, SIDE, SIDE), Gap("blob"))
    monkeypatch.setattr(mend_samples, "_drawn", lambda *_: [(case, "S")])
    monkeypatch.setattr(
        mend_samples, "sample", lambda *_: Sample(tile, truth, scored, truth, ("a", "b", "c"))
    )
    monkeypatch.setattr(mend_samples, "of_quality", lambda _: Prior(truth))
    mend_samples.build(tmp_path, tmp_path / "crops", "fast", range(1), Watch(), crops=4)
    store = mend_samples.open_store(tmp_path / "crops")
    assert len(store.target) == 4 and store.origin.tolist() == [["d", "p", "S", "blob"]] * 4
    error, counts = store.target[:, 0, :SIDE, :SIDE], store.target[:, 1, :SIDE, :SIDE]
    assert (counts == scored).all() and not store.target[:, 1, SIDE:].any()
    np.testing.assert_allclose(error[:, scored], -2, rtol=0.01)
