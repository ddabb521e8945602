"""Stable Diffusion's inpainting from a folder of its layout, with networks small enough for a test."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel  # noqa: E402
from terramend.models.aligndiff import network_store, tokens  # noqa: E402
from terramend.models.aligndiff.hint import channels  # noqa: E402
from terramend.models.base import Tile  # noqa: E402
from terramend.models.rivals import network_sd  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer  # noqa: E402

STACK = {"block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4}


def pipeline(tmp_path, channels_in, predicts="epsilon"):
    """A folder as `save_pretrained` writes it."""
    torch.manual_seed(0)
    vocabulary = tokens.learn(["Peru, Red edge", "unknown, NIR"], 30, 12)
    words = {k: v for k, v in vocabulary.ids.items() if k != tokens.TOKEN}
    tokens.Vocabulary(words, vocabulary.merges, 12).save(tmp_path / "words")
    reader = CLIPTokenizer.from_pretrained(tmp_path / "words", model_max_length=12)
    ends = {"bos_token_id": words[tokens.START], "eos_token_id": words[tokens.END]}
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=12, **ends,
    ))  # fmt: skip
    autoencoder = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2, **STACK,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        in_channels=channels_in, out_channels=4, sample_size=8, cross_attention_dim=16, attention_head_dim=2,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"], up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        **STACK,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=predicts
    )
    whole = StableDiffusionInpaintPipeline(
        vae=autoencoder, text_encoder=text, tokenizer=reader, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    whole.save_pretrained(tmp_path / "sd")
    return tmp_path / "sd", whole


def tile():
    random = np.random.default_rng(1)
    image = (0.2 + 0.05 * random.random((2, 24, 32))).astype(np.float32)
    gap = np.zeros(image.shape, bool)
    gap[:, 8:15, 10:21] = True
    return Tile(np.where(gap, np.nan, image).astype(np.float32), gap, wavelengths=(665.0, 842.0))


@pytest.mark.parametrize("inputs", [4, 9])
def test_a_folder_fills(tmp_path, inputs) -> None:
    folder, _ = pipeline(tmp_path, inputs)
    made = network_sd.create("fast", 0, str(folder), steps="2")
    given = tile()
    said = made.predict(given, made.prepare(given))
    assert np.isfinite(said.mean[given.gaps]).all() and np.isnan(said.mean[~given.gaps]).all()
    again = network_sd.create("fast", 0, str(folder), steps="2")
    np.testing.assert_array_equal(again.predict(given, again.prepare(given)).mean, said.mean)


def test_what_the_unet_is_given(tmp_path) -> None:
    """Nine channels: noised latents, the gap at their size, latents of the image without it."""
    folder, whole = pipeline(tmp_path, 9)
    networks = network_sd.load(str(folder))
    assert (networks.factor, networks.multiple, networks.predicts) == (2, 4, "epsilon")
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    hint = torch.zeros(1, channels(1), 16, 16)
    hint[:, 4, 5:9, 6:11] = 1
    hint[:, 5] = torch.randn(16, 16, generator=generator) * (1 - hint[:, 4])
    context = networks.context("<AlignDiff> Peru, NIR", np.zeros(26, np.float32))
    said = networks.denoise(x.numpy(), 500, context, hint.numpy(), x[:1].numpy())
    with torch.no_grad():
        latents = (
            whole.vae.encode(hint[:, 5:6].expand(-1, 3, -1, -1)).latent_dist.mode()
            * whole.vae.config.scaling_factor
        )
        mask = torch.zeros(1, 1, 8, 8)
        mask[..., 2:5, 3:6] = 1
        beside = torch.cat([x, torch.cat([mask, latents], 1).expand(2, -1, -1, -1)], 1)
        ids = whole.tokenizer("Peru, NIR", padding="max_length", max_length=12, return_tensors="pt").input_ids
        words = whole.text_encoder(ids).last_hidden_state
        expected = whole.unet(beside, 499, encoder_hidden_states=words.expand(2, -1, -1)).sample
    np.testing.assert_allclose(context, words, atol=1e-5)
    np.testing.assert_allclose(said, expected, atol=1e-4)
    other = hint.clone()
    other[:, :4] = 7  # terrain is not looked at
    np.testing.assert_array_equal(
        networks.denoise(x.numpy(), 500, context, other.numpy(), x[:1].numpy()), said
    )


def test_what_the_folder_predicts_and_its_precision(tmp_path) -> None:
    folder, _ = pipeline(tmp_path, 4, "v_prediction")
    networks = network_sd.load(str(folder), precision="bf16")
    assert networks.predicts == "v" and networks.unet.dtype == torch.bfloat16
    image = np.zeros((1, 1, 16, 16), np.float32)
    assert networks.decode(networks.encode(image)).shape == image.shape


def test_faults_are_said(tmp_path) -> None:
    with pytest.raises(ValueError, match="ships no weights"):
        network_sd.create("fast", 0)
    with pytest.raises(ValueError, match="precision"):
        network_sd.load(str(tmp_path), precision="int3")
    with pytest.raises(ValueError, match=r"\w"):
        network_sd.load(str(tmp_path))
    folder, _ = pipeline(tmp_path, 4)
    for name in ("unet", "vae", "text_encoder"):  # only pickles are left
        for path in (folder / name).glob("*.safetensors"):
            path.rename(path.with_suffix(".bin"))
    with pytest.raises(ValueError, match="safetensors"):
        network_sd.load(str(folder))


def test_a_hubs_vocabulary_is_that_of_its_files(tmp_path, monkeypatch) -> None:
    """What AlignDiff reads of a hub: the two files, which lie beside each other in the cache."""
    pipeline(tmp_path, 4)
    asked = []

    def download(source, name):
        asked.append((source, name))
        return str(tmp_path / "words" / name.split("/")[1])

    monkeypatch.setattr(network_store, "hf_hub_download", download)
    found = network_store._vocabulary("somebody/some-model", 12)
    assert asked == [("somebody/some-model", f"tokenizer/{name}") for name in ("vocab.json", "merges.txt")]
    assert found.ids[tokens.TOKEN] == len(found.ids) - 1
    with pytest.raises(OSError, match=r"tokenizer/vocab\.json"):
        network_store._vocabulary(str(tmp_path), 12)


@pytest.mark.parametrize("way", ["rivals.network_sd", "aligndiff.network_store"])
def test_the_hub_is_told_no_more_than_what_is_wanted(way):
    code = f"import terramend.models.{way}, huggingface_hub.constants as c; print(c.HF_HUB_DISABLE_TELEMETRY)"
    environ = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.strip() == "True"
