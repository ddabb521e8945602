"""The network of `mend` in torch and as it is exported, its batches, its training, its 8 bits."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import mend, mend_samples  # noqa: E402
from terramend.backend.training.export import export  # noqa: E402
from terramend.backend.training.quantize import int8  # noqa: E402
from terramend.backend.training.recipe import load_config  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.mend.inputs import BASE, REFERENCE, SLOTS  # noqa: E402
from terramend.models.mend.network import Mend, together  # noqa: E402
from terramend.models.onnx import session  # noqa: E402

SIDE = 32
CROPS = 8


def lively() -> Mend:
    """A small network whose last layer says something, which a fresh one does not."""
    torch.manual_seed(0)
    network = Mend((8, 12, 16))
    torch.nn.init.normal_(network.leave.weight, std=1.0)
    return network.eval()


def inputs(count: int = 1, dates: int = SLOTS, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    references = torch.randn(count, dates, REFERENCE, SIDE, SIDE)
    references[:, :, 1] = (references[:, :, 1] > 0).float()
    return torch.randn(count, BASE, SIDE, SIDE), references


@pytest.fixture
def config(tmp_path):
    """A folder of a few crops, the left half of each padded with nothing."""
    random = np.random.default_rng(0)
    base = random.normal(0, 1, (CROPS, BASE, SIDE, SIDE)).astype(np.float16)
    base[:, 3] = random.random((CROPS, SIDE, SIDE)) < 0.5
    base[:, 4] = 1 - base[:, 3]
    base[:, 2] = base[:, 0] * base[:, 3]
    references = random.normal(0, 1, (CROPS, SLOTS, REFERENCE, SIDE, SIDE)).astype(np.float16)
    references[:, :, 1] = 1
    target = np.stack([random.normal(0, 1, (CROPS, SIDE, SIDE)), base[:, 4]], 1).astype(np.float16)
    for values in (base, references, target):
        values[..., :8] = 0
    for name, values in zip(mend_samples.ARRAYS, (base, references, target), strict=True):
        np.save(tmp_path / f"{name}.npy", values)
    places = [name for name in (f"p{k}" for k in range(40)) if not mend_samples.is_held_out("s2", name)]
    held = next(name for name in (f"p{k}" for k in range(400)) if mend_samples.is_held_out("s2", name))
    drawn = [["s2", name, "T1", "cloud", 1] for name in [*places[: CROPS - 1], held]]
    (tmp_path / "samples.json").write_text(json.dumps({"crops": CROPS, "drawn": drawn}))
    made = load_config("mend", "small")
    made["samples"] = [{"folder": str(tmp_path)}]
    made["widths"] = [8, 12, 16]
    made["training"] = {"steps": 2, "batch": 4, "rate": 1e-3, "warmup": 1}
    return made


def test_the_configuration_that_comes_along_trains_the_correction(config, tmp_path) -> None:
    made = mend.recipe(config, tmp_path, Watch())
    batch = made.batch(0, 0)
    said = made.model(batch["base"], batch["references"]).detach().requires_grad_()
    made.loss(lambda *_: said, batch, 0)["loss"].backward()
    assert said.grad[:, 0].abs().sum() > 0 and said.grad[:, 1].abs().sum() > 0


def test_few_samples_are_drawn_again_and_none_are_said(config, tmp_path) -> None:
    config["training"]["batch"] = 3 * CROPS
    assert len(mend.recipe(config, tmp_path, Watch()).batch(0, 0)["base"]) == 3 * CROPS
    path = tmp_path / "samples.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "drawn": [[*facts["drawn"][-1][:4], CROPS]]}))  # all held out
    with pytest.raises(TerramendError, match="is no folder with scenes that this network can learn from"):
        mend.recipe(config, tmp_path, Watch())


def test_the_export_says_what_torch_says(tmp_path) -> None:
    network = lively()
    export(network, network, mend.INPUTS, tmp_path / "mend.onnx")
    run = session(tmp_path / "mend.onnx")
    for count, seed in ((1, 1), (3, 2)):
        base, references = inputs(count, seed=seed)
        with torch.no_grad():
            expected = network(base, references).numpy()
        said = run.run(None, {"base": base.numpy(), "references": references.numpy()})[0]
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(said, expected, atol=1e-4)
    wide = {"base": np.zeros((1, BASE, 48, 80), np.float32)}
    wide["references"] = np.zeros((1, SLOTS, REFERENCE, 48, 80), np.float32)
    assert run.run(None, wide)[0].shape == (1, 2, 48, 80)


def test_eight_bits_say_nearly_the_same(tmp_path) -> None:
    network = lively()
    export(network, network, mend.INPUTS, tmp_path / "mend.onnx")
    drawn = [inputs(seed=seed) for seed in range(6)]
    fed = [{"base": base.numpy(), "references": references.numpy()} for base, references in drawn]
    int8(tmp_path / "mend.onnx", fed, tmp_path / "int8.onnx")
    full, small = session(tmp_path / "mend.onnx"), session(tmp_path / "int8.onnx")
    a, b = (np.stack([run.run(None, one)[0] for one in fed]) for run in (full, small))
    assert 0 < np.abs(a - b).mean() < 0.05 * np.abs(a).mean()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["int8.onnx", "mend.onnx"]


def test_references_are_a_set() -> None:
    network = lively()
    base, references = inputs(dates=3)
    with torch.no_grad():
        said = network(base, references)
        turned = network(base, references[:, [2, 0, 1]])
        assert torch.allclose(said, turned, atol=1e-5)
        hidden = references.clone()
        hidden[:, 2] = 0
        assert not torch.allclose(said, network(base, hidden), atol=1e-4)


def test_what_all_references_say_together() -> None:
    references = torch.zeros(1, 3, REFERENCE, 2, 2)
    references[0, :2, 1] = 1
    references[0, 0, 2], references[0, 1, 2], references[0, 2, 2] = 1.0, 3.0, 99.0
    mean, deviation, share = together(references)[0]
    assert torch.allclose(mean, torch.tensor(2.0)) and torch.allclose(share, torch.tensor(2 / 3))
    assert torch.allclose(deviation, torch.tensor(1.0), atol=1e-5)


def test_a_fresh_network_leaves_the_prior(config, tmp_path) -> None:
    made = mend.recipe(config, tmp_path, Watch())
    terms = made.loss(made.model, made.batch(0, 0), 0)
    assert float(terms["gain_db"].detach()) == pytest.approx(0, abs=1e-5)
    terms["loss"].backward()
    assert any(float(p.grad.abs().sum()) > 0 for p in made.model.parameters() if p.grad is not None)


def test_the_deviation_alone_is_that_of_the_prior() -> None:
    """Errors of twice the prior's deviation: the Laplace loss is least where the factor says so."""
    error = torch.full((1, 2, SIDE, SIDE), 2.0)
    error[:, 1] = 1

    def loss(shift: float, log_factor: float) -> float:
        said = torch.stack([torch.full((1, SIDE, SIDE), v) for v in (shift, log_factor)], 1)
        batch = {"base": said, "references": said, "target": error}
        return float(mend.loss(lambda base, references: said, batch, 0, 0.0, 1.0)["loss"])

    best = 2 * np.log(2**0.5 * 2.0)
    assert loss(0.0, best) < min(loss(0.0, best - 0.1), loss(0.0, best + 0.1))
    assert loss(1.5, best) == loss(0.0, best)


def test_batches_repeat_and_leave_places_out(config, tmp_path) -> None:
    held = np.load(tmp_path / "target.npy")
    held[-1, 0] = 29.0  # the crop whose place is held out
    np.save(tmp_path / "target.npy", held)
    made = mend.recipe(config, tmp_path, Watch())
    for step in range(12):
        first, again = made.batch(step, 0), made.batch(step, 0)
        assert all(torch.equal(first[name], again[name]) for name in mend_samples.ARRAYS)
        assert float(first["target"][:, 0].abs().max()) < 15


def test_a_band_made_brighter_keeps_its_error(config, tmp_path) -> None:
    store = mend_samples.open_store(tmp_path)
    sizes = []
    for seed in range(20):
        crop = mend._crop(store, 0, np.random.default_rng(seed))
        base, others, target = (crop[name] for name in mend_samples.ARRAYS)
        padding = (base[3] == 0) & (base[4] == 0)
        assert padding.mean() == pytest.approx(0.25)
        assert (base[0][padding] == 0).all() and (base[1][padding] == 0).all()
        np.testing.assert_array_equal(base[2], np.where(base[3] > 0, base[0], 0))
        # The error in the band's own units: its deviations times the prior's, over the gain.
        before = store.base[0].astype(np.float32)
        gain = np.std(others[0, 2]) / np.std(store.references[0, 0, 2].astype(np.float32))
        scored = target[1] > 0
        error = np.sqrt((target[0][scored] ** 2).mean()) * np.exp(2 * base[1][scored]).mean() / gain
        old = store.target[0].astype(np.float32)
        size = np.sqrt((old[0][old[1] > 0] ** 2).mean()) * np.exp(2 * before[1][old[1] > 0]).mean()
        sizes.append(error / size)
    np.testing.assert_allclose(sizes, 1, rtol=0.02)


def test_a_run_ends_with_both_networks(config, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(mend, "CALIBRATION", 4)
    made = mend.recipe(config, tmp_path, Watch())
    out = tmp_path / "run"
    out.mkdir()
    (out / "loss.csv").write_text("step,rate,seconds,gain_db\n0,0.1,1.0,0.1\n1,0.1,2.0,0.2\n")
    made.finish(made.model.eval(), out)
    for path in (out / mend.FULL, out / mend.NETWORK):
        assert session(path).get_inputs()[0].name == "base"
    assert json.loads((out / "config.json").read_text())["widths"] == [8, 12, 16]
    assert (out / "mend.safetensors").exists()
