"""A folder of Stable Diffusion as it is published: AlignDiff loads, trains and fills with it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from aligndiff_makers import VOCABULARY, inputs, layout, stirred  # noqa: E402
from hills import hills  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import aligndiff  # noqa: E402
from terramend.backend.training.loop import train  # noqa: E402
from terramend.backend.training.recipe import load_config  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.aligndiff import model as light  # noqa: E402
from terramend.models.aligndiff import network, network_serving, tokens  # noqa: E402
from terramend.models.aligndiff.network_store import pretrained, save  # noqa: E402
from terramend.models.aligndiff.prompt import TOKEN  # noqa: E402
from terramend.models.base import Tile  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hills(tmp_path_factory.mktemp("data"), 72, 80, (490, 560, 665))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder laid out like Stable Diffusion 1.5, with networks small enough for a test."""
    folder = tmp_path_factory.mktemp("sd")
    torch.manual_seed(1)
    controlnet = {"conditioning_embedding_out_channels": [4, 8]}
    model = stirred(network.make(layout(colours=3, unshuffle=1, residual=False, controlnet=controlnet)), 1)
    for name, part in (("vae", model.autoencoder), ("unet", model.unet), ("text_encoder", model.text)):
        part.save_pretrained(folder / name)
    clips = tokens.Vocabulary({k: v for k, v in VOCABULARY.ids.items() if k != TOKEN}, VOCABULARY.merges)
    clips.save(folder / "tokenizer")
    return folder, model


def test_a_published_folder_loads_steps_saves_and_loads(published, tmp_path) -> None:
    folder, original = published
    model, vocabulary = pretrained(str(folder))
    assert vocabulary.ids[TOKEN] == len(vocabulary.ids) - 1
    assert model.layout.factor == 2 and model.layout.colours == 3 and vocabulary.length == 12
    given = inputs()
    x, t, ids, numbers, hint, _ = given
    hint = hint[..., :16, :16]
    with torch.no_grad():
        context = model.context(ids, numbers)
        stock = original.unet(x, t - 1, encoder_hidden_states=context).sample
        words = original.text(input_ids=ids).last_hidden_state
    torch.testing.assert_close(context[:, :-1], words)
    assert not context[:, -1].any()
    with torch.no_grad():
        said = model.denoise(x, t, context, hint)
    torch.testing.assert_close(said, stock)  # the copied ControlNet begins as nothing
    stirred(model.controlnet)
    save(model, vocabulary, tmp_path / "again")
    again, _ = pretrained(str(tmp_path / "again"))
    with torch.no_grad():
        moved = model.denoise(x, t, context, hint)
        assert (moved - said).abs().max() > 1e-3
        torch.testing.assert_close(again.eval().denoise(x, t, context, hint), moved)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, msg=name)


def test_no_such_folder_is_said(tmp_path) -> None:
    config = {**load_config("aligndiff", "small"), "stage": "diffusion", "start": str(tmp_path / "none")}
    with pytest.raises(TerramendError) as caught:
        aligndiff.recipe(config, tmp_path)
    assert caught.value.code == "training.start"
    with pytest.raises(ValueError, match="ships no weights"):
        network_serving.create("fast", 0)


def test_a_published_folder_is_trained_further(published, data, tmp_path) -> None:
    folder, _ = published
    part = {
        "own": 0,
        "training": {"steps": 2, "batch": 2, "rate": 1e-3, "warmup": 1, "save_every": 2, "average": 0.5},
    }
    config = {
        **load_config("aligndiff", "paper"),
        "start": str(folder),
        "size": 16,
        "samples": {"folder": str(tmp_path / "samples"), "count": 3, "seed": 0},
        "diffusion": part,
    }
    made = aligndiff.recipe(config, data)
    average = train(made.model, made.batch, made.loss, made.schedule, tmp_path / "run", Watch())
    made.finish(average, tmp_path / "run")
    again, vocabulary = aligndiff.load(tmp_path / "run")
    assert vocabulary.ids[TOKEN] == len(vocabulary.ids) - 1 and vocabulary.length == 12
    assert not again.layout.residual
    stock, _ = pretrained(str(folder))
    changed = {n for n, value in again.state_dict().items() if not torch.equal(value, stock.state_dict()[n])}
    assert any(n.startswith("controlnet") for n in changed)
    assert not any(n.startswith("autoencoder") for n in changed)
    graphs, _ = light.load(tmp_path / "run")
    assert graphs.predicts == "epsilon" and graphs.factor == 2
    assert "prior" not in {node.name for node in graphs.step.get_inputs()}


def test_a_published_folder_fills(published) -> None:
    folder, _ = published
    made = network_serving.create("fast", 0, str(folder), steps="3")
    image = np.full((1, 24, 24), 0.2, np.float32) + np.linspace(0, 0.1, 24, dtype=np.float32)
    gap = np.zeros(image.shape, bool)
    gap[:, 8:14, 8:14] = True
    tile = Tile(np.where(gap, np.nan, image).astype(np.float32), gap)
    said = made.predict(tile, made.prepare(tile))
    assert np.isfinite(said.mean[gap]).all()
    half = network_serving.load(str(folder), precision="bf16")
    assert half.modules.unet.dtype == torch.bfloat16
    assert half.encode(image[None, :, :16, :16]).dtype == np.float32
    with pytest.raises(ValueError, match="precision"):
        network_serving.load(str(folder), precision="int3")
