r"""`terramend train aligndiff`: AlignDiff in three stages.

A configuration holds all three; `stage` says which one runs, and `start` names what it starts from:
the folder of the stage before, or Stable Diffusion in a local folder or on a hub.

    terramend train aligndiff --data DATA --out out/aligndiff/autoencoder
    terramend train aligndiff --data DATA --out out/aligndiff/diffusion \
        --set stage=diffusion --set start=out/aligndiff/autoencoder
    terramend train aligndiff --data DATA --out out/aligndiff/adapter \
        --set stage=adapter --set start=out/aligndiff/diffusion --set alignment.weights=vgg16.ckpt

The paper's algorithm 1 with its unified loss (equation 7): where it says reconstruction, a diffusion
model's own loss stands, because in training it says noise (or x0), not an image.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ...models.aligndiff import network_adapter, network_store, prompt, tokens
from ...models.aligndiff.hint import latent_gap
from ...models.aligndiff.network import STAGES, AlignDiff, Layout, freeze, make
from ...models.aligndiff.network_losses import Alignment
from ...models.aligndiff.prompt_regions import regions
from ...models.diffusion import torch_forward
from ..errors import TerramendError
from ..watch import Watch
from . import aligndiff_samples as samples
from . import checkpoint, noising, pictures
from .export import export
from .features import vgg
from .loop import Batch, Schedule
from .patches import tell_left_out
from .recipe import REFUSED, Recipe, build, check_start, conclude, whole

WEIGHTS = "aligndiff.safetensors"
BEGIN = 0.9
"""Share of the steps at which a fill begins at least (`sampling.Preset.strength`)."""
DIVERGENCE = 1e-6
"""What the divergence of the latents' distribution from a Gaussian counts (Rombach et al. 2022)."""


def recipe(config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The stage that `config` names.

    Raises:
        TerramendError: `training.config`, `training.start`, `training.empty`.
    """
    stage = config["stage"]
    if stage not in STAGES:
        raise _wrong(f"stage is one of {', '.join(STAGES)}, not {stage}")
    schedule = build(Schedule, config[stage]["training"], f"{stage}.training")
    size = whole(config, "size", "aligndiff")
    torch.manual_seed(schedule.seed)
    model, vocabulary = start(config)
    if size % model.layout.multiple:
        raise _wrong(f"size must be a multiple of {model.layout.multiple}")
    if stage == "adapter":
        network_adapter.adapt(model, vocabulary.ids[prompt.TOKEN], config["rank"])
    freeze(model, stage)
    if stage == STAGES[0]:
        return _autoencoder(config, data, model, vocabulary, schedule, watch)
    return _latents(config, data, model, vocabulary, schedule, watch)


def start(config: dict[str, Any]) -> tuple[AlignDiff, tokens.Vocabulary]:
    """The networks and the vocabulary that a stage begins with.

    Raises:
        TerramendError: `training.start`, `training.config`.
    """
    where = config["start"]
    if where and (Path(where) / WEIGHTS).is_file():
        model, vocabulary = load(Path(where))
        if config["network"]["bands"] != model.layout.bands:
            model = _regrouped(model, layout(config, vocabulary))
        return model, vocabulary
    try:
        if where:
            return network_store.pretrained(where)
        check_start(config, STAGES, "aligndiff")
        vocabulary = vocabulary_of(config)
        return make(layout(config, vocabulary)), vocabulary
    except OSError as error:
        why = str(error).split("\n")[0].rstrip(".")
        raise TerramendError("training.start", path=where, name="aligndiff", why=why) from None
    except REFUSED as error:
        raise _wrong(str(error)) from None


def _regrouped(before: AlignDiff, wanted: Layout) -> AlignDiff:
    """Fresh networks for another number of bands at once, over the same autoencoder."""
    model = make(wanted)
    model.autoencoder.load_state_dict(before.autoencoder.state_dict())
    model.scale.copy_(before.scale)
    return model


def vocabulary_of(config: dict[str, Any]) -> tokens.Vocabulary:
    """Learned from what prompts are made of: every region beside every band."""
    texts = [f"{region}, {band}" for region in regions() for band, *_ in prompt.BANDS]
    return tokens.learn(texts, config["vocabulary"]["merges"], config["vocabulary"]["length"])


def layout(config: dict[str, Any], vocabulary: tokens.Vocabulary) -> Layout:
    """The networks' layout; the text encoder is as large as the vocabulary."""
    part = config["network"]
    ends = {
        "vocab_size": len(vocabulary.ids),
        "bos_token_id": vocabulary.ids[tokens.START],
        "eos_token_id": vocabulary.ids[tokens.END],
    }
    made: Layout = build(Layout, {**part, "text": {**part["text"], **ends}}, "network")
    bands = len(config["data"]["wavelengths"])
    if bands > 1 and bands != made.bands:
        raise _wrong(f"network.bands is {made.bands}, but data.wavelengths names {bands}")
    return made


def load(run: Path) -> tuple[AlignDiff, tokens.Vocabulary]:
    """The networks of a run's folder, in eval mode."""
    config = json.loads((run / "config.json").read_text("utf-8"))
    vocabulary = tokens.load(run, config["vocabulary"]["length"])
    model = network_store.from_parts(config["parts"])
    model.load_state_dict(checkpoint.stored(run / WEIGHTS))
    return model.eval(), vocabulary


# --- the autoencoder ------------------------------------------------------------------------


def _autoencoder(
    config: dict[str, Any],
    data: Path,
    model: AlignDiff,
    vocabulary: tokens.Vocabulary,
    schedule: Schedule,
    watch: Watch,
) -> Recipe:
    drawn = samples.bank(data, (), config["size"], config["without"])
    tell_left_out(drawn.left, data, watch)
    factor, width = model.layout.factor, model.autoencoder.config.latent_channels

    def batch(step: int, part: int) -> Batch:
        number = step * schedule.accumulate + part
        image = torch.from_numpy(drawn.planes(schedule.seed, number, schedule.batch, config["size"]))
        generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + number)
        size = (len(image), width, *(n // factor for n in image.shape[2:]))
        return {"image": image, "noise": torch.randn(size, generator=generator)}

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        assert isinstance(model, AlignDiff)  # noqa: S101 (for the types)
        posterior = model.posterior(_single(batch["image"], model.layout.bands))
        latents = posterior.mean + posterior.std * batch["noise"]
        image = model.decode(_stack(latents * model.scale, model.layout.bands))
        apart = (image.float() - _single(batch["image"], model.layout.bands)).abs().mean()
        divergence = posterior.kl().mean() / batch["image"][0].numel()
        return {"loss": apart + DIVERGENCE * divergence, "apart": apart, "divergence": divergence}

    def finish(average: torch.nn.Module, out: Path) -> None:
        assert isinstance(average, AlignDiff)  # noqa: S101 (for the types)
        seen = torch.from_numpy(drawn.planes(99, 0, 64, config["size"]))
        with torch.no_grad():
            latents = average.posterior(_single(seen, average.layout.bands)).mode()
            average.scale.fill_(1 / float(latents.std()))
            again = average.decode(average.encode(_single(seen, average.layout.bands)))
        write(average, config, vocabulary, out)
        sheet = torch.stack([seen[:8], again.reshape(seen.shape)[:8]], 1).reshape(16, 1, *seen.shape[2:])
        _sheet(sheet.numpy(), out / "samples.png")
        pictures.losses({"autoencoder": out / "loss.csv"}, out / "loss.png")

    return Recipe(model, batch, loss, schedule, finish)


def _single(image: torch.Tensor, bands: int) -> torch.Tensor:
    """(N, 1, H, W) bands as images of `bands`; the autoencoder sees each by itself anyway."""
    return image.reshape(-1, bands, *image.shape[2:])


def _stack(latents: torch.Tensor, bands: int) -> torch.Tensor:
    return latents.reshape(len(latents) // bands, -1, *latents.shape[2:])


# --- diffusion and adapter ------------------------------------------------------------------


@dataclass(frozen=True)
class Cached:
    """Latents of every crop: (N, C, h, w) of the truth and of the prior's fill, and what they count."""

    clean: torch.Tensor
    prior: torch.Tensor
    weight: torch.Tensor
    ids: torch.Tensor


def _latents(
    config: dict[str, Any],
    data: Path,
    model: AlignDiff,
    vocabulary: tokens.Vocabulary,
    schedule: Schedule,
    watch: Watch,
) -> Recipe:
    stage, kind = config["stage"], config["noise"]["predicts"]
    forward = noising.forward(config, "noise.schedule")
    own = config[stage]["own"]
    if own and kind != "x0":
        raise _wrong(f"{stage}.own goes with noise.predicts=x0")
    bars = torch.from_numpy(forward.bar).float()
    store = samples.stored(config, data, config["data"]["terrain"], watch)
    encoded = functools.cache(lambda: encode(model, vocabulary, store))  # of the first batch: where it trains
    part = config["alignment"]
    alignment = None
    if stage == "adapter" and part["weights"]:
        alignment = Alignment(vgg(Path(part["weights"])), part["distribution"], part["style"])

    def batch(step: int, number: int) -> Batch:
        number += step * schedule.accumulate
        cached = encoded()
        random = np.random.default_rng([schedule.seed, number])
        chosen = random.choice(len(store.hint), schedule.batch, replace=len(store.hint) < schedule.batch)
        clean = cached.clean[chosen]
        made = noising.noised(clean, forward, schedule.seed * 1_000_003 + number)
        wanted = torch_forward.wanted(clean, made["noise"], made["bar"], kind)
        begin = torch.from_numpy(random.integers(round(BEGIN * len(bars)), len(bars) + 1, len(chosen)))
        return {
            "start": started(cached.prior[chosen], bars[begin - 1], random),
            "begin": begin,
            "x": made["x"],
            "t": made["t"],
            "wanted": wanted,
            "clean": clean,
            "prior": cached.prior[chosen],
            "weight": cached.weight[chosen],
            "ids": cached.ids[chosen],
            "numbers": torch.from_numpy(store.numbers[chosen]),
            "hint": torch.from_numpy(store.hint[chosen].astype(np.float32)),
            "image": torch.from_numpy(store.clean[chosen].astype(np.float32)),
        }

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        assert isinstance(model, AlignDiff)  # noqa: S101 (for the types)
        context = model.context(batch["ids"], batch["numbers"])
        bar = bars.to(batch["x"].device)[batch["t"] - 1]
        x = batch["x"]
        count = round(own * len(x))
        if count:
            x = torch.cat([self_made(model, batch, context, bar, count), x[count:]])
        said = model.denoise(x, batch["t"], context, batch["hint"], batch["prior"]).float()
        apart = (said - batch["wanted"]).square().mean(1, keepdim=True)
        terms = {"noise": (apart * batch["weight"]).sum() / batch["weight"].sum()}
        total = terms["noise"]
        if alignment is not None:
            crop = part["size"] // model.layout.factor
            clean = torch_forward.to_clean(x, said, bar, kind)[..., :crop, :crop]
            image = model.decode(clean).float().clamp(-1, 1)
            aim = batch["image"][..., : image.shape[2], : image.shape[3]].clamp(-1, 1)
            found = alignment(image, aim, bar)
            terms |= found
            total = total + alignment.total(found)
        return {"loss": total, **terms}

    def finish(average: torch.nn.Module, out: Path) -> None:
        assert isinstance(average, AlignDiff)  # noqa: S101 (for the types)
        if stage == "adapter":
            save_file(dict(network_adapter.learned(average)), out / "adapter.safetensors")
            network_adapter.merge(average)
        networks(average, vocabulary, out)
        write(average, config, vocabulary, out)
        pictures.losses({f"aligndiff, {stage}": out / "loss.csv"}, out / "loss.png")

    return Recipe(model, batch, loss, schedule, finish)


def started(prior: torch.Tensor, bar: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """(N, C, h, w) what a fill begins with: the prior's latents, noised to (N,) alpha-bar."""
    drawn = torch.from_numpy(random.standard_normal(prior.shape, np.float32))
    return torch_forward.forward(prior, drawn, bar)


def self_made(
    model: AlignDiff, batch: Batch, context: torch.Tensor, bar: torch.Tensor, count: int
) -> torch.Tensor:
    """x_t of the first `count` samples as the sampler meets it: it holds the network's own x0, not the truth.

    The truth shines through a noised truth. A network that has seen nothing else believes what it said
    itself a step before, and every step adds to the error.
    """
    first = {
        name: batch[name][:count] for name in ("start", "begin", "hint", "prior", "x", "clean", "weight")
    }
    with torch.no_grad():
        said = model.denoise(
            first["start"], first["begin"], context[:count].detach(), first["hint"], first["prior"]
        )
        said = torch.where(first["weight"] < 1, first["prior"], said.float())
        return first["x"] + bar[:count, None, None, None].sqrt() * (said - first["clean"])


def encode(model: AlignDiff, vocabulary: tokens.Vocabulary, store: samples.Store, count: int = 16) -> Cached:
    """Run the frozen autoencoder once over all crops, on the device where it is; the CPU keeps them."""
    bands, factor = store.clean.shape[1], model.layout.factor
    parts: dict[str, list[torch.Tensor]] = {"clean": [], "prior": [], "weight": []}
    device, learning = model.scale.device, model.training
    model.eval()
    with torch.no_grad():
        for first in range(0, len(store.hint), count):
            hint = store.hint[first : first + count].astype(np.float32)
            clean = torch.from_numpy(store.clean[first : first + count].astype(np.float32))
            prior = torch.from_numpy(hint[:, 5 + bands : 5 + 2 * bands])
            parts["clean"].append(model.encode(clean.to(device)).cpu())
            parts["prior"].append(model.encode(prior.to(device)).cpu())
            hidden = np.stack([latent_gap(gap > 0.5, factor) for gap in hint[:, 4]])
            parts["weight"].append(
                torch.from_numpy(np.where(hidden, 1, samples.KNOWN).astype(np.float32))[:, None]
            )
    model.train(learning)
    ids = torch.from_numpy(np.stack([vocabulary.encode(text) for text in store.texts]))
    return Cached(torch.cat(parts["clean"]), torch.cat(parts["prior"]), torch.cat(parts["weight"]), ids)


# --- what a run leaves behind -----------------------------------------------------------------


def write(model: AlignDiff, config: dict[str, Any], vocabulary: tokens.Vocabulary, out: Path) -> None:
    """Weights, configuration and vocabulary."""
    save_file(checkpoint.tensors(model), out / WEIGHTS)
    features = {**config["alignment"], "weights": Path(config["alignment"]["weights"]).name}
    words = {**config["vocabulary"], "length": vocabulary.length}
    told = {**config, "alignment": features, "vocabulary": words, **network_store.facts(model)}
    vocabulary.save(out)
    conclude(told, out)


def networks(model: AlignDiff, vocabulary: tokens.Vocabulary, out: Path) -> None:
    """The four graphs that the light environment runs."""
    bands, side, factor = model.layout.bands, 4 * model.layout.multiple, model.layout.factor
    latent = (1, model.unet.config.in_channels, side // factor, side // factor)
    hint = (1, model.controlnet.config.conditioning_channels, side, side)
    words = torch.from_numpy(vocabulary.encode(prompt.TOKEN))[None]
    context = (1, vocabulary.length + 1, model.unet.config.cross_attention_dim)
    numbers = torch.zeros(1, prompt.NUMBERS)
    export(model, model.encode, [("image", (1, bands, side, side))], out / "encoder.onnx")
    export(model, model.decode, [("latents", latent)], out / "decoder.onnx")
    export(model, model.context, [("ids", words), ("numbers", numbers)], out / "context.onnx", image=False)
    step = [("sample", latent), ("t", (1,)), ("context", context), ("hint", hint), ("prior", latent)]
    export(model, model.denoise, step if model.layout.residual else step[:-1], out / "step.onnx")


def _sheet(images: np.ndarray, path: Path) -> None:
    pictures.grid(
        np.clip((np.repeat(images, 3, 1) + 1) / 2, 0, 1).astype(np.float32), path, columns=8, scale=1
    )


def _wrong(why: str) -> TerramendError:
    return TerramendError("training.config", name="aligndiff", why=why)
