"""AlignDiff's networks: their published size, adapters, losses, folders, training and ONNX graphs."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

import rasterio  # noqa: E402
from rasterio.warp import calculate_default_transform, reproject  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from terramend.backend import cli  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import aligndiff, aligndiff_samples, export_command, features  # noqa: E402
from terramend.backend.training.loop import train  # noqa: E402
from terramend.backend.training.recipe import build, load_config  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.aligndiff import model as light  # noqa: E402
from terramend.models.aligndiff import network, network_adapter, network_losses, network_serving, tokens  # noqa: E402
from terramend.models.aligndiff.hint import channels  # noqa: E402
from terramend.models.aligndiff.network_store import pretrained, save  # noqa: E402
from terramend.models.aligndiff.prompt import NUMBERS, TOKEN  # noqa: E402
from terramend.models.base import Tile  # noqa: E402
from transformers import CLIPTokenizer  # noqa: E402

STACK = {"block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4}
TINY = {
    "bands": 1,
    "colours": 1,
    "unshuffle": 2,
    "residual": True,
    "autoencoder": {
        **STACK,
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "latent_channels": 4,
        "mid_block_add_attention": False,
    },
    "unet": {
        **STACK,
        "sample_size": 8,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "cross_attention_dim": 16,
        "attention_head_dim": 2,
    },
    "controlnet": {"conditioning_embedding_out_channels": [4, 8, 8]},
    "text": {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 12,
    },
}
VOCABULARY = tokens.learn(["Peru, Red edge", "Peru, NIR"], 30, 12)


def layout(**changes):
    return aligndiff.layout({"network": {**TINY, **changes}, "data": {"wavelengths": []}}, VOCABULARY)


def stirred(model, seed=0, scale=0.05):
    """Weights that are all different from what a fresh network has, zero convolutions too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def inputs(bands=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    ids = torch.from_numpy(VOCABULARY.encode(f"{TOKEN} Peru, NIR"))[None].expand(2, -1)
    x, t, prior = drawn(2, 4 * bands, 8, 8), torch.tensor([900.0, 20.0]), drawn(2, 4 * bands, 8, 8)
    return x, t, ids, drawn(2, NUMBERS), drawn(2, channels(bands), 32, 32), prior


def denoised(model, given):
    x, t, ids, numbers, hint, prior = given
    with torch.no_grad():
        return model.denoise(x, t, model.context(ids, numbers), hint, prior)


def test_published_and_small_sizes() -> None:
    part = load_config("aligndiff", "paper")["network"]
    counts = network.count(build(network.Layout, part, "network"))
    assert counts["autoencoder"] == 83_653_863
    assert counts["unet"] == 859_520_964
    # Published ControlNets read three channels, 361 279 120 parameters; our hint has ten.
    assert counts["controlnet"] == 361_279_120 + 9 * 16 * (channels(1) - 3)
    assert counts["text"] == 123_060_480
    config = load_config("aligndiff", "small")
    small = network.count(aligndiff.layout(config, aligndiff.vocabulary_of(config)))
    assert sum(small.values()) < 6_000_000


def test_fresh_networks_say_the_prior() -> None:
    given = inputs()
    said = denoised(network.make(layout()).eval(), given)
    np.testing.assert_array_equal(said, given[-1])


def test_bands_together_are_encoded_one_by_one() -> None:
    torch.manual_seed(0)
    model = network.make(layout(bands=3)).eval()
    image = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        latents = model.encode(image)
        model.layout = layout(bands=1)
        alone = torch.cat([model.encode(image[:, k : k + 1]) for k in range(3)], 1)
    torch.testing.assert_close(latents, alone)
    assert latents.shape == (2, 12, 4, 4)
    assert denoised(network.make(layout(bands=3)).eval(), inputs(3)).shape == (2, 12, 8, 8)


def test_adapters_begin_as_nothing_and_merge_without_a_change() -> None:
    torch.manual_seed(0)
    model, given = stirred(network.make(layout())), inputs()
    before = denoised(model, given)
    network_adapter.adapt(model, rank=8)
    torch.testing.assert_close(denoised(model, given), before)
    network.freeze(model, "adapter")
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learning and all("lora_" in n or "numbers." in n or "token_embedding" in n for n in learning)
    assert {n.split(".")[0] for n in learning} == {"unet", "text", "numbers"}
    ranks = {len(p) for n, p in model.named_parameters() if "lora_A" in n}
    assert ranks == {8}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter += 0.1 * torch.randn(parameter.shape)
    after = denoised(model, given)
    assert (after - before).abs().max() > 1e-3
    network_adapter.merge(model)
    torch.testing.assert_close(denoised(model, given), after, atol=1e-5, rtol=1e-4)
    assert not [key for key in model.state_dict() if "base_layer" in key or "lora" in key]


# --- distribution alignment -------------------------------------------------------------------


def test_losses_by_hand() -> None:
    made = torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])  # 2 channels, 1 x 2 places
    truth = torch.tensor([[[[1.0, 0.0]], [[1.0, 1.0]]]])
    # Means (1.5, 0.5) and (0.5, 1.0): 1 + 0.25.
    assert network_losses.mean_distance(made, truth).item() == pytest.approx(1.25)
    # Grams [[5, 2], [2, 1]] and [[1, 1], [1, 2]]: 16 + 1 + 1 + 1 = 19, over 4 (2 * 1 * 2)^2 = 64.
    torch.testing.assert_close(network_losses.gram(made)[0], torch.tensor([[5.0, 2.0], [2.0, 1.0]]))
    assert network_losses.style_distance(made, truth).item() == pytest.approx(19 / 64)


def narrow(depths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    widths, layers, before = (4, 5, 6, 7, 8), [], 3
    for width, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            layers.append((0.2 * torch.randn(width, before, 3, 3, generator=generator), torch.zeros(width)))
            before = width
    return layers


@pytest.mark.parametrize("count", [13, 16])
def test_features_are_those_of_vgg(count) -> None:
    depths = network_losses.DEPTHS[count]
    layers = narrow(depths)
    image = torch.rand(2, 1, 32, 32) * 2 - 1
    found = network_losses.Features(layers)(image)
    shape = torch.tensor(network_losses.MEAN)[:, None, None], torch.tensor(network_losses.DEVIATION)
    x, expected, place = ((image + 1) / 2 - shape[0]) / shape[1][:, None, None], [], 0
    for stage, depth in enumerate(depths):
        x = torch.nn.functional.max_pool2d(x, 2) if stage else x
        for layer in range(depth):
            x = torch.nn.functional.conv2d(x, *layers[place], padding=1).clamp(min=0)
            place += 1
            expected += [x] if layer == 0 else []
    assert [tuple(m.shape[1:]) for m in found] == [(4, 32, 32), (5, 16, 16), (6, 8, 8), (7, 4, 4), (8, 2, 2)]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_alignment_weighs_samples_and_pulls_towards_the_truth() -> None:
    alignment = network_losses.Alignment(network_losses.Features(narrow((2, 2, 3, 3, 3))), 1.0, 100.0)
    truth = torch.rand(2, 1, 32, 32)
    made = (truth * 0.5).requires_grad_()
    terms = alignment(made, truth, torch.tensor([1.0, 0.0]))
    alignment.total(terms).backward()
    assert terms["distribution"] > 0 and terms["style"] > 0
    assert made.grad[0].abs().sum() > 0 and not made.grad[1].any()
    nearer = (made - 1e-3 * made.grad / made.grad.abs().max()).detach()
    assert alignment.total(alignment(nearer, truth, torch.ones(2))) < alignment.total(
        alignment(made, truth, torch.ones(2))
    )
    assert alignment.total(alignment(truth, truth, torch.ones(2))) == 0


def test_vgg_weights_of_a_user(tmp_path) -> None:
    stored = {}
    for place, (kernel, bias) in enumerate(narrow(network_losses.DEPTHS[16])):
        stored |= {f"features.{3 * place}.weight": kernel, f"features.{3 * place}.bias": bias}
    save_file({**stored, "classifier.0.weight": torch.zeros(2)}, tmp_path / "vgg19.safetensors")
    assert features.vgg(tmp_path / "vgg19.safetensors").depths == (2, 2, 4, 4, 4)
    save_file(
        {"features.0.weight": torch.zeros(1), "features.0.bias": torch.zeros(1)}, tmp_path / "x.safetensors"
    )
    for name in ("x.safetensors", "none.safetensors", "none.ckpt"):
        with pytest.raises(TerramendError) as caught:
            features.vgg(tmp_path / name)
        assert caught.value.code == "training.features"


# --- Stable Diffusion's folders -----------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder laid out like Stable Diffusion 1.5, with networks small enough for a test."""
    folder = tmp_path_factory.mktemp("sd")
    torch.manual_seed(1)
    plain = layout(colours=3, unshuffle=1, residual=False)
    controlnet = {"conditioning_embedding_out_channels": [4, 8]}
    model = stirred(network.make(layout(colours=3, unshuffle=1, residual=False, controlnet=controlnet)), 1)
    for name, part in (("vae", model.autoencoder), ("unet", model.unet), ("text_encoder", model.text)):
        part.save_pretrained(folder / name)
    clips = tokens.Vocabulary({k: v for k, v in VOCABULARY.ids.items() if k != TOKEN}, VOCABULARY.merges)
    clips.save(folder / "tokenizer")
    return folder, model, plain


def test_a_published_folder_loads_steps_saves_and_loads(published, tmp_path) -> None:
    folder, original, _ = published
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


def test_our_encoding_is_clips(tmp_path) -> None:
    made = tokens.learn(["United States of America, NIR", "Côte d'Ivoire, Red edge"], 60, 24)
    made.save(tmp_path)
    theirs = CLIPTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    theirs.add_tokens([TOKEN])
    for text in (
        f"{TOKEN} United States of America, NIR",
        f"{TOKEN} Côte d'Ivoire, 2018-05-03, 123, Red edge",
        "S. Geo. and the Is., SWIR1; it's don't_x",
        "a very long prompt that has more tokens than there are places for them, by far",
    ):
        wanted = theirs(text, padding="max_length", max_length=24, truncation=True)["input_ids"]
        if len(theirs(text)["input_ids"]) > 24:
            wanted[-1] = made.ids[tokens.END]
        np.testing.assert_array_equal(made.encode(text), wanted)


# --- training, and the light environment ---------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two clear scenes of three bands with a DEM and two dates."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:72, :80]
    for place in ("one", "two"):
        folder = root / "hills" / place
        folder.mkdir(parents=True)
        relief = 300 + 200 * np.sin(x / 11 + len(place)) * np.cos(y / 9)
        profile = {
            "driver": "GTiff", "height": 72, "width": 80, "crs": "EPSG:32633",
            "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 5e6),
        }  # fmt: skip
        with rasterio.open(folder / "dem.tif", "w", count=1, dtype="int16", **profile) as sink:
            sink.write(relief.astype("int16"), 1)
        for date, gain in (("2020-05-01", 1.0), ("2020-07-01", 1.2)):
            bands = np.stack([1500 + 300 * k + gain * relief for k in range(3)])
            noise = random.normal(0, 20, bands.shape)
            with rasterio.open(folder / f"{date}.tif", "w", count=3, dtype="uint16", **profile) as sink:
                sink.write((bands + noise).astype("uint16"))
                for k, wavelength in enumerate((490, 560, 665), 1):
                    sink.update_tags(k, wavelength=wavelength)
    return root


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Folders of the three stages, a few steps each."""
    out = tmp_path_factory.mktemp("runs")
    weights = {}
    for place, (kernel, bias) in enumerate(narrow(network_losses.DEPTHS[13])):
        weights |= {f"features.{place}.weight": kernel, f"features.{place}.bias": bias}
    save_file(weights, out / "vgg.safetensors")
    part = {
        "own": 0.5,
        "training": {"steps": 3, "batch": 2, "rate": 0.01, "warmup": 1, "save_every": 3, "average": 0.5},
    }
    config = {
        **load_config("aligndiff", "small"),
        "size": 32,
        "network": TINY,
        "vocabulary": {"merges": 20, "length": 12},
        "samples": {"folder": str(out / "samples"), "count": 6, "seed": 0},
        "alignment": {
            "weights": str(out / "vgg.safetensors"), "distribution": 1.0, "style": 100.0, "size": 32,
        },
        **dict.fromkeys(network.STAGES, part),
    }  # fmt: skip
    before = ""
    for stage in network.STAGES:
        made = aligndiff.recipe({**config, "stage": stage, "start": before}, data)
        average = train(made.model, made.batch, made.loss, made.schedule, out / stage, Watch())
        made.finish(average, out / stage)
        before = str(out / stage)
    return out


def test_stages_train_their_own_part(runs) -> None:
    auto, latent, adapted = (load_file(runs / stage / aligndiff.WEIGHTS) for stage in network.STAGES)
    changed = {n.split(".")[0] for n in auto if not torch.equal(auto[n], latent[n])}
    assert changed == {"unet", "controlnet", "text", "numbers"}
    changed = {n for n in latent if not torch.equal(latent[n], adapted[n])}
    assert changed and not any(n.startswith(("autoencoder", "controlnet")) for n in changed)
    assert all("attn" in n or "numbers" in n or "token_embedding" in n for n in changed)
    assert not [n for n in adapted if "lora" in n or "base_layer" in n]
    small = load_file(runs / "adapter" / "adapter.safetensors")
    assert any("lora_A" in n for n in small)
    assert auto["scale"] != 0.18215
    header = (runs / "adapter" / "loss.csv").read_text().split("\n")[0]
    assert header == "step,rate,seconds,loss,noise,distribution,style"


def test_states_of_its_own_hold_what_the_network_said() -> None:
    model = network.make(layout()).eval()  # a fresh one says the prior
    _, _, ids, numbers, hint, prior = inputs()
    generator = torch.Generator().manual_seed(3)
    clean, noise = (torch.randn(prior.shape, generator=generator) for _ in range(2))
    bar = torch.tensor([0.2, 0.9])
    share = bar[:, None, None, None]
    batch = {
        "x": share.sqrt() * clean + (1 - share).sqrt() * noise,
        "clean": clean,
        "prior": prior,
        "weight": torch.ones(2, 1, 8, 8),
        "hint": hint,
        "begin": torch.tensor([95, 100]),
        "start": aligndiff.started(prior, torch.zeros(2), np.random.default_rng(0)),
    }
    made = aligndiff.self_made(model, batch, model.context(ids, numbers), bar, 2)
    torch.testing.assert_close(made, share.sqrt() * prior + (1 - share).sqrt() * noise)
    stirred(model)
    batch["weight"][0] = aligndiff.KNOWN  # nothing is hidden there: the prior is put back
    again = aligndiff.self_made(model, batch, model.context(ids, numbers), bar, 2)
    torch.testing.assert_close(again[0], made[0])
    assert (again[1] - made[1]).abs().max() > 1e-3
    assert len(aligndiff.self_made(model, batch, model.context(ids, numbers), bar, 1)) == 1


def test_states_of_its_own_want_a_network_that_says_x0(runs, data) -> None:
    config = json.loads((runs / "diffusion" / "config.json").read_text())
    config |= {"start": str(runs / "autoencoder"), "noise": {**config["noise"], "predicts": "v"}}
    with pytest.raises(TerramendError, match="diffusion.own goes with noise.predicts=x0"):
        aligndiff.recipe(config, data)


def test_crops_are_the_same_without_their_dem(data, tmp_path) -> None:
    drawn = aligndiff_samples.bank(data, (), 32, ())
    for name, terrain in (("with", True), ("without", False)):
        aligndiff_samples.build(drawn, tmp_path / name, 12, 32, 0, Watch(), terrain)
    shown, bare = (aligndiff_samples.open_store(tmp_path / name) for name in ("with", "without"))
    np.testing.assert_array_equal(shown.clean, bare.clean)
    np.testing.assert_array_equal(shown.hint[:, 4:6], bare.hint[:, 4:6])  # gap and observation
    assert shown.hint[:, :4].any() and not bare.hint[:, :4].any()
    differ = (shown.hint[:, 6] != bare.hint[:, 6]).any((1, 2))  # where `guided` had a DEM to start from
    assert 0 < differ.sum() < 12


def test_a_published_folder_is_trained_further(published, data, tmp_path) -> None:
    folder, _, _ = published
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


def test_samples_of_another_configuration_are_refused(runs) -> None:
    bands, size = aligndiff_samples.open_store(runs / "samples").clean.shape[1:3]

    def stored(bands: int, size: int) -> aligndiff_samples.Store:
        config = {"samples": {"folder": runs / "samples"}, "network": {"bands": bands}, "size": size}
        return aligndiff_samples.stored(config, runs, terrain=True)

    assert stored(bands, size).clean.shape[2] == size
    for other in ((bands + 1, size), (bands, size // 2)):
        with pytest.raises(TerramendError, match=rf"network\.bands is {other[0]} and size {other[1]}, but"):
            stored(*other)


def test_samples_are_repeated_and_hide_the_right_share(runs, data, tmp_path) -> None:
    store = aligndiff_samples.open_store(runs / "samples")
    gap = store.hint[:, 4]
    assert (gap.mean((1, 2)) >= 0.08).all() and (gap.mean((1, 2)) <= 0.52).all()
    assert (store.hint[:, 5:6][gap[:, None] > 0] == 0).all()
    np.testing.assert_array_equal(store.hint[:, 5][gap == 0], store.clean[:, 0][gap == 0])
    assert (store.hint[:, 3] == 1).all()  # the DEM is known everywhere
    assert all(text.startswith(TOKEN) for text in store.texts)
    assert store.numbers[:, -2].all()  # the place is known from the file
    drawn = aligndiff_samples.bank(data, (), 32, ())
    aligndiff_samples.build(drawn, tmp_path, 6, 32, 0, Watch())
    np.testing.assert_array_equal(aligndiff_samples.open_store(tmp_path).hint, store.hint)
    with pytest.raises(TerramendError) as caught:
        aligndiff_samples.bank(data, (), 32, ("hills",))
    assert caught.value.code == "training.empty"


def test_bands_together_begin_with_the_autoencoder_of_single_bands(runs, data, tmp_path) -> None:
    config = json.loads((runs / "autoencoder" / "config.json").read_text())
    config |= {
        "stage": "diffusion",
        "start": str(runs / "autoencoder"),
        "network": {**TINY, "bands": 3},
        "data": {"wavelengths": [490.0, 560.0, 665.0], "terrain": True},
        "samples": {"folder": str(tmp_path / "samples"), "count": 3, "seed": 0},
    }
    made = aligndiff.recipe(config, data)
    made.finish(
        train(made.model, made.batch, made.loss, made.schedule, tmp_path / "run", Watch()), tmp_path / "run"
    )
    first, second = (
        load_file(runs / "autoencoder" / aligndiff.WEIGHTS),
        load_file(tmp_path / "run" / aligndiff.WEIGHTS),
    )
    same = [name for name in first if name.startswith(("autoencoder.", "scale"))]
    assert same and all(torch.equal(first[name], second[name]) for name in same)
    image = (0.2 + 0.05 * np.random.default_rng(1).random((4, 40, 56))).astype(np.float32)
    gap = np.zeros(image.shape, bool)
    gap[:, 12:25, 20:33] = True
    waves = (490.0, 560.0, 665.0, 842.0)
    tile = Tile(np.where(gap, np.nan, image).astype(np.float32), gap, wavelengths=waves)
    filler = light.create("fast", 0, str(tmp_path / "run"))
    said = filler.predict(tile, filler.prepare(tile))
    assert [bool(np.isfinite(band[gap[0]]).all()) for band in said.mean] == [True, True, True, False]


def test_graphs_say_what_torch_says(runs) -> None:
    graphs, _ = light.load(runs / "adapter")
    model, vocabulary = aligndiff.load(runs / "adapter")
    random = np.random.default_rng(0)
    drawn = lambda *shape: random.standard_normal(shape).astype(np.float32)  # noqa: E731
    image, x, hint, place = (
        drawn(1, 1, 48, 32),
        drawn(3, 4, 12, 8),
        drawn(1, channels(1), 48, 32),
        drawn(NUMBERS),
    )
    text = f"{TOKEN} Austria, NIR"
    ids = torch.from_numpy(vocabulary.encode(text))[None]
    with torch.no_grad():
        latents = model.encode(torch.from_numpy(image))
        back = model.decode(latents)
        context = model.context(ids, torch.from_numpy(place)[None])
        said = model.denoise(
            torch.from_numpy(x),
            torch.full((3,), 500.0),
            context.expand(3, -1, -1),
            torch.from_numpy(hint).expand(3, -1, -1, -1),
            latents.expand(3, -1, -1, -1),
        )
    np.testing.assert_allclose(graphs.encode(image), latents, atol=1e-4)
    np.testing.assert_allclose(graphs.decode(latents.numpy()), back, atol=1e-4)
    np.testing.assert_allclose(graphs.context(text, place), context, atol=1e-4)
    np.testing.assert_allclose(
        graphs.denoise(x, 500, context.numpy(), hint, latents.numpy()), said, atol=1e-3
    )


def test_exported_networks_fill_and_tell_no_folder(runs, tmp_path) -> None:
    words = {"name": "aligndiff", "run": runs / "adapter", "title": "t", "licence": "l", "to": tmp_path}
    export_command.main(argparse.Namespace(**words), Watch())
    whole, _ = light.load(runs / "adapter")
    half, _ = light.load(tmp_path / "aligndiff")
    image = np.random.default_rng(0).standard_normal((1, 1, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(half.encode(image), whole.encode(image), atol=2e-2)
    assert half.vocabulary == whole.vocabulary
    entry = json.loads((tmp_path / "manifest.json").read_text())["weights"]["aligndiff"]
    assert {f["name"] for f in entry["files"]} >= {*light.FILES, "config.json", "vocab.json", "merges.txt"}
    config = json.loads((tmp_path / "aligndiff" / "config.json").read_text())
    assert config["alignment"]["weights"] == "vgg.safetensors" and "start" not in config


def test_a_fill_by_graphs_is_the_fill_by_torch(runs) -> None:
    random = np.random.default_rng(1)
    image = (0.2 + 0.05 * random.random((2, 40, 56))).astype(np.float32)
    gap = np.zeros(image.shape, bool)
    gap[:, 12:25, 20:33] = True
    tile = Tile(np.where(gap, np.nan, image).astype(np.float32), gap, wavelengths=(665.0, 842.0))
    graphs = light.create("default", 3, str(runs / "adapter"))
    model, vocabulary = aligndiff.load(runs / "adapter")
    config = json.loads((runs / "adapter" / "config.json").read_text())
    networks = network_serving.Torch(
        model, vocabulary, graphs.networks.schedule, predicts=config["noise"]["predicts"]
    )
    beside = light.assemble(networks, (), "default", 3, "guided", "", "", "", "", "0")
    first, second = (made.predict(tile, made.prepare(tile)) for made in (graphs, beside))
    np.testing.assert_allclose(first.mean[gap], second.mean[gap], atol=1e-3)
    again = graphs.predict(tile, graphs.prepare(tile))
    np.testing.assert_array_equal(first.mean, again.mean)
    other = light.create("default", 4, str(runs / "adapter"))
    assert np.isfinite(other.predict(tile, other.prepare(tile)).mean[gap]).all()


def test_the_command_line_fills_with_a_dem_of_another_crs(runs, data, tmp_path) -> None:
    source = data / "hills" / "one" / "2020-05-01.tif"
    with rasterio.open(source) as scene:
        image, profile = scene.read(), scene.profile
    hidden = np.zeros(image.shape[1:], "uint8")
    hidden[20:40, 30:52] = 1
    with rasterio.open(tmp_path / "gaps.tif", "w", **{**profile, "count": 1, "dtype": "uint8"}) as sink:
        sink.write(hidden, 1)
    with rasterio.open(data / "hills" / "one" / "dem.tif") as dem:
        moved, width, height = calculate_default_transform(
            dem.crs, "EPSG:4326", dem.width, dem.height, *dem.bounds
        )
        far = {**dem.profile, "crs": "EPSG:4326", "transform": moved, "width": width, "height": height}
        with rasterio.open(tmp_path / "dem.tif", "w", **{**far, "nodata": -32768}) as sink:
            reproject(rasterio.band(dem, 1), rasterio.band(sink, 1), dst_nodata=-32768)
    words = [
        "fill",
        source,
        "--gaps",
        tmp_path / "gaps.tif",
        "--dem",
        tmp_path / "dem.tif",
        "--model",
        "aligndiff",
    ]
    words += ["--set", f"weights={runs / 'adapter'}", "--set", "region=Carinthia", "--quality", "fast"]
    assert cli.main([str(word) for word in [*words, "-o", tmp_path / "out.tif", "--provenance"]]) == 0
    with rasterio.open(tmp_path / "out.tif") as made:
        filled, tags = made.read(), made.tags()
    np.testing.assert_array_equal(filled[:, hidden == 0], image[:, hidden == 0])
    assert (filled[:, hidden == 1] != image[:, hidden == 1]).any()
    assert abs(filled[:, hidden == 1].mean() - image[:, hidden == 1].mean()) < 300
    assert any(
        value == light.create("fast", 0, str(runs / "adapter")).weights_sha256 for value in tags.values()
    )


def test_a_published_folder_fills(published) -> None:
    folder, _, _ = published
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
