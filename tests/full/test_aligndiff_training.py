"""AlignDiff's three stages on made land, and what they leave: samples, graphs and fills."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

import rasterio  # noqa: E402
from aligndiff_makers import TINY, narrow  # noqa: E402
from hills import hills  # noqa: E402
from rasterio.warp import calculate_default_transform, reproject  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from terramend.backend import cli  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import aligndiff, aligndiff_samples, export_command  # noqa: E402
from terramend.backend.training.loop import train  # noqa: E402
from terramend.backend.training.recipe import load_config  # noqa: E402
from terramend.backend.watch import Progress, Watch  # noqa: E402
from terramend.models.aligndiff import model as light  # noqa: E402
from terramend.models.aligndiff import network, network_losses, network_serving  # noqa: E402
from terramend.models.aligndiff.hint import channels  # noqa: E402
from terramend.models.aligndiff.prompt import NUMBERS, TOKEN  # noqa: E402
from terramend.models.base import Tile  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hills(tmp_path_factory.mktemp("data"), 72, 80, (490, 560, 665))


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
        made = aligndiff.recipe({**config, "stage": stage, "start": before}, data, Watch())
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
    (words,) = (n for n in changed if "token_embedding" in n)
    moved = (latent[words] != adapted[words]).any(1).nonzero().flatten().tolist()
    assert moved == [json.loads((runs / "adapter" / "vocab.json").read_text("utf-8"))[TOKEN]]
    assert not [n for n in adapted if "lora" in n or "base_layer" in n]
    small = load_file(runs / "adapter" / "adapter.safetensors")
    assert any("lora_A" in n for n in small)
    assert not any(n.endswith("token_embedding.weight") for n in small)  # nor the words that did not change
    assert auto["scale"] != 0.18215
    header = (runs / "adapter" / "loss.csv").read_text().split("\n")[0]
    assert header == "step,rate,seconds,loss,noise,distribution,style"


def test_states_of_its_own_want_a_network_that_says_x0(runs, data) -> None:
    config = json.loads((runs / "diffusion" / "config.json").read_text())
    config |= {"start": str(runs / "autoencoder"), "noise": {**config["noise"], "predicts": "v"}}
    with pytest.raises(TerramendError, match="diffusion.own goes with noise.predicts=x0"):
        aligndiff.recipe(config, data, Watch())


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


def test_samples_of_another_configuration_are_refused(data, runs, tmp_path) -> None:
    bands, size = aligndiff_samples.open_store(runs / "samples").clean.shape[1:3]

    def stored(bands: int, size: int, data: Path = data, **samples: object) -> aligndiff_samples.Store:
        config = load_config("aligndiff", "small") | {"network": {"bands": bands}, "size": size}
        config["samples"] = {"folder": str(runs / "samples"), "count": 6, "seed": 0, **samples}
        return aligndiff_samples.stored(config, data, terrain=True, watch=Watch())

    assert stored(bands, size).clean.shape[2] == size
    for other in ((bands + 1, size), (bands, size // 2)):
        with pytest.raises(TerramendError, match=rf"network\.bands is {other[0]} and size {other[1]}, but"):
            stored(*other)
    with pytest.raises(
        TerramendError, match=r"otherwise \(samples\.count was 6, and is 7\): name another folder"
    ):
        stored(bands, size, count=7)
    with pytest.raises(TerramendError, match=r"otherwise \(--data was .*, and is .0 files"):
        stored(bands, size, data=tmp_path)
    (runs / "samples" / "drawn.json").rename(tmp_path / "drawn.json")  # as before one was written
    stored(bands, size, count=7)
    (tmp_path / "drawn.json").rename(runs / "samples" / "drawn.json")


def test_making_samples_is_told_and_can_be_stopped(data, tmp_path) -> None:
    """A run may make samples for hours before its first step."""
    config = load_config("aligndiff", "small")
    config |= {"size": 32, "samples": {"folder": str(tmp_path / "samples"), "count": 6, "seed": 0}}
    told: list[Progress] = []

    def hear(progress: Progress) -> None:
        told.append(progress)
        if progress.done == 2:
            watch.cancel()

    watch = Watch(on_progress=hear)
    with pytest.raises(TerramendError) as caught:
        aligndiff_samples.stored(config, data, terrain=True, watch=watch)
    assert caught.value.code == "run.cancelled"
    assert [(at.stage, at.done, at.total) for at in told] == [("samples", done, 6) for done in (0, 1, 2)]
    aligndiff_samples.stored(
        config, data, terrain=True, watch=Watch()
    )  # what lies there is not taken for whole


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


def test_crops_are_encoded_once_and_where_the_networks_train(runs, data, monkeypatch) -> None:
    config = json.loads((runs / "diffusion" / "config.json").read_text())
    config["start"] = str(runs / "autoencoder")
    made = aligndiff.recipe(config, data, Watch())
    asked = []

    def encode(image: torch.Tensor) -> torch.Tensor:
        asked.append((image.device.type, len(image), made.model.training))
        return torch.zeros(len(image), 4, 8, 8)

    monkeypatch.setattr(made.model, "encode", encode)
    made.model.to("meta").train()
    batches = [made.batch(step, 0) for step in range(2)]
    assert asked == 2 * [("meta", 6, False)] and made.model.training
    assert {tensor.device.type for batch in batches for tensor in batch.values()} == {"cpu"}


def test_bands_together_begin_with_the_autoencoder_of_single_bands(runs, data, tmp_path) -> None:
    config = json.loads((runs / "autoencoder" / "config.json").read_text())
    config |= {
        "stage": "diffusion",
        "start": str(runs / "autoencoder"),
        "network": {**TINY, "bands": 3},
        "data": {"wavelengths": [490.0, 560.0, 665.0], "terrain": True},
        "samples": {"folder": str(tmp_path / "samples"), "count": 3, "seed": 0},
    }
    made = aligndiff.recipe(config, data, Watch())
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
