"""AlignDiff's networks: their published size, adapters, losses, and the words they read."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from aligndiff_makers import inputs, layout, narrow, stirred  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import aligndiff, aligndiff_samples, features  # noqa: E402
from terramend.backend.training.recipe import build, load_config  # noqa: E402
from terramend.models.aligndiff import network, network_adapter, network_losses, tokens  # noqa: E402
from terramend.models.aligndiff.hint import channels  # noqa: E402
from terramend.models.aligndiff.prompt import TOKEN  # noqa: E402
from transformers import CLIPTokenizer  # noqa: E402


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


def test_times_are_counted_from_0_where_diffusers_does() -> None:
    """Published weights know the last of 1000 times as 999."""
    model, given = network.make(layout()).eval(), inputs()
    seen = []
    for part in (model.unet, model.controlnet):
        part.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[1]))
    denoised(model, given)
    assert len(seen) == 2
    for time in seen:
        torch.testing.assert_close(time, given[1] - 1)


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
    network_adapter.adapt(model, word=3, rank=8)
    torch.testing.assert_close(denoised(model, given), before)
    network.freeze(model, "adapter")
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    (word,) = (n for n in learning if "lora_" not in n and "numbers." not in n)
    assert model.get_parameter(word).shape == (model.text.config.hidden_size,)
    assert {n.split(".")[0] for n in learning} == {"unet", "text", "numbers"}
    ranks = {len(p) for n, p in model.named_parameters() if "lora_A" in n}
    assert ranks == {8}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name or name == word:
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


def test_alignment_goes_where_its_images_are(monkeypatch) -> None:
    """Networks are trained on a GPU, VGG's weights are read elsewhere: `meta` stands for any other device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which `meta` has not
    alignment = network_losses.Alignment(network_losses.Features(narrow((2, 2, 3, 3, 3))))
    made, truth = (torch.rand(2, 1, 32, 32, device="meta") for _ in range(2))
    terms = alignment(made, truth, torch.ones(2, device="meta"))
    assert {value.device.type for value in terms.values()} == {"meta"}


def test_alignment_is_of_single_precision_where_networks_learn_in_half() -> None:
    alignment = network_losses.Alignment(network_losses.Features(narrow((2, 2, 3, 3, 3))))
    truth, weight = torch.rand(2, 1, 32, 32), torch.ones(2)
    made = truth + 0.01 * torch.rand(2, 1, 32, 32)
    plain = alignment(made, truth, weight)
    with torch.autocast("cpu", torch.bfloat16):
        half = alignment(made, truth, weight)
    for name, value in plain.items():
        torch.testing.assert_close(half[name], value, rtol=1e-5, atol=0)


def test_vgg_weights_of_a_user(tmp_path) -> None:
    stored = {}
    for place, (kernel, bias) in enumerate(narrow(network_losses.DEPTHS[16])):
        stored |= {f"features.{3 * place}.weight": kernel, f"features.{3 * place}.bias": bias}
    save_file({**stored, "classifier.0.weight": torch.zeros(2)}, tmp_path / "vgg19.safetensors")
    assert features.vgg(tmp_path / "vgg19.safetensors").depths == (2, 2, 4, 4, 4)
    save_file(
        {"features.0.weight": torch.zeros(1), "features.0.bias": torch.zeros(1)}, tmp_path / "x.safetensors"
    )
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "vgg19.safetensors").read_bytes()[:100])
    for name in ("x.safetensors", "cut.safetensors", "none.safetensors", "none.ckpt"):
        with pytest.raises(TerramendError) as caught:
            features.vgg(tmp_path / name)
        assert caught.value.code == "training.features"


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
    batch["weight"][0] = aligndiff_samples.KNOWN  # nothing is hidden there: the prior is put back
    again = aligndiff.self_made(model, batch, model.context(ids, numbers), bar, 2)
    torch.testing.assert_close(again[0], made[0])
    assert (again[1] - made[1]).abs().max() > 1e-3
    assert len(aligndiff.self_made(model, batch, model.context(ids, numbers), bar, 1)) == 1
