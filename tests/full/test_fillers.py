"""Rivals of AlignDiff: their published sizes, Fourier convolutions, cells, training, graphs and fills."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from hills import hills  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import fillers  # noqa: E402
from terramend.backend.training.loop import train  # noqa: E402
from terramend.backend.training.recipe import load_config, maker  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.aligndiff.hint import CLIP, channels  # noqa: E402
from terramend.models.base import Reference, Tile  # noqa: E402
from terramend.models.diffusion.unet import UNet, UNetConfig  # noqa: E402
from terramend.models.rivals import network_fill, network_lama, network_time  # noqa: E402
from terramend.models.rivals.fill import NETWORK, create  # noqa: E402

TINY = {
    "palette": {"given": ["observed", "gap"], "base": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4,
                "resampling": "residual"},
    "lama": {"given": ["observed", "gap"], "width": 8, "levels": 2, "blocks": 2, "adversary": 8},
    "stcnn": {"given": ["observed", "gap", "last", "terrain"], "width": 8, "layers": 2},
    "autoencoder": {"given": ["observed", "gap", "last"], "width": 8, "levels": 2},
}  # fmt: skip


def small(kind, bands=1):
    values = {key: value for key, value in TINY[kind].items() if key != "adversary"}
    torch.manual_seed(0)
    return network_fill.make(kind, {"bands": bands, **values}).eval()


def said(network, hint, seed=0):
    """The network's word for a hint, with fixed noise where it wants some."""
    if not network.diffusion:
        return network(hint)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((len(hint), network.bands, *hint.shape[2:]), generator=generator)
    return network(x, torch.full((len(hint),), 500.0), hint)


def stirred(network, seed=1):
    """Zero convolutions let nothing through: give every weight a value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network


def parameters(kind, size):
    with torch.device("meta"):
        network = fillers.fresh(load_config(kind, size))
    return sum(p.numel() for p in network.parameters())


def test_published_sizes() -> None:
    assert parameters("palette", "paper") == 62_641_347  # 62.6 M
    assert parameters("lama", "paper") == 50_975_875  # 51.0 M at 18 blocks
    for kind in network_fill.NETWORKS:
        assert parameters(kind, "small") < 2_500_000


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("kind", network_fill.NETWORKS)
def test_shapes_and_what_a_network_looks_at(kind, bands) -> None:
    network = stirred(small(kind, bands))
    hint = torch.randn(2, channels(bands), 8 * network.multiple, 12 * network.multiple, requires_grad=True)
    out = said(network, hint)
    assert out.shape == (2, bands, *hint.shape[2:])
    out.square().sum().backward()
    seen = {place for part in TINY[kind]["given"] for place in network_fill.places(part, bands)}
    felt = {int(i) for i in torch.nonzero(hint.grad.abs().sum((0, 2, 3))).ravel()}
    assert felt == seen


@pytest.mark.parametrize("kind", network_fill.NETWORKS)
def test_the_smallest_window_is_filled_too(kind) -> None:
    """As of a scene of a few pixels."""
    network = small(kind)
    hint = torch.randn(1, channels(1), network.multiple, network.multiple)
    assert said(network, hint).isfinite().all()


@pytest.mark.parametrize("size", ["small", "paper"])
def test_the_plain_controlnet_is_aligndiff_before_its_adapter(size) -> None:
    plain, whole = load_config("controlnet", size), load_config("aligndiff", size)
    assert plain["stage"] == "diffusion" and maker("controlnet") is maker("aligndiff")
    assert {**plain, "stage": "", "start": ""} == {**whole, "stage": "", "start": ""}


def test_parts_of_the_hint() -> None:
    assert [network_fill.places(part, 2) for part in network_fill.PARTS] == [
        [0, 1, 2, 3], [4], [5, 6], [7, 8], [9, 10, 11, 12],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="clouds"):
        network_fill.places("clouds", 1)


# --- Fourier convolutions ------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10), (7, 4)])
def test_spectra_by_waves_are_those_of_the_fft(height, width) -> None:
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    real, imaginary = network_lama._transformed(x)
    expected = np.fft.rfft2(x.numpy(), norm="ortho")
    np.testing.assert_allclose(real, expected.real, atol=1e-12)
    np.testing.assert_allclose(imaginary, expected.imag, atol=1e-12)
    np.testing.assert_allclose(network_lama._restored(real, imaginary, width), x, atol=1e-12)


def test_a_fourier_unit_by_hand() -> None:
    """With an identity for weights the unit keeps the positive parts of the spectrum."""
    unit = network_lama.FourierUnit(2).eval()
    with torch.no_grad():
        unit.conv_layer.weight.copy_(torch.eye(4)[:, :, None, None])
    x = torch.randn(1, 2, 6, 8)
    spectrum = np.fft.rfft2(x.numpy(), norm="ortho")
    kept = np.maximum(spectrum.real, 0) + 1j * np.maximum(spectrum.imag, 0)
    expected = np.fft.irfft2(kept / np.sqrt(1 + unit.bn.eps), s=(6, 8), norm="ortho")
    np.testing.assert_allclose(unit(x).detach(), expected, atol=1e-5)


def test_one_layer_sees_the_whole_image() -> None:
    block = stirred(network_lama.Block(16)).eval()
    near = torch.randn(1, 4, 16, 16)
    wide = torch.randn(1, 12, 16, 16, requires_grad=True)
    block((near, wide))[0][0, :, 0, 0].sum().backward()
    assert (
        wide.grad.abs().sum((0, 1)) > 0
    ).float().mean() > 0.9  # two 3 x 3 convolutions see 9 of 256 pixels


def test_published_names_load_and_others_do_not(tmp_path) -> None:
    network = small("lama", 3)
    weights = {f"generator.{k}": torch.randn_like(v) if v.is_floating_point() else v
               for k, v in network.state_dict().items()}  # fmt: skip
    names = {"generator.model.1.ffc.convl2l.weight", "generator.model.4.conv1.ffc.convg2g.fu.conv_layer.weight",
             "generator.model.4.conv2.bn_g.running_mean", "generator.model.7.weight"}  # fmt: skip
    assert names <= weights.keys()
    save_file({**weights, "discriminator.model.0.weight": torch.ones(2)}, tmp_path / "lama.safetensors")
    network.take(tmp_path / "lama.safetensors")
    for name, value in network.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(value, weights[f"generator.{name}"])
    save_file({"model.1.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="names differ"):
        network.take(tmp_path / "other.safetensors")


def test_big_lama_has_the_published_modules() -> None:
    """Checked against the layout of the released big-lama: 36 modules, 18 blocks from the sixth on."""
    with torch.device("meta"):
        network = network_lama.Lama(3)
    assert len(network.model) == 36
    assert [i for i, part in enumerate(network.model) if isinstance(part, network_lama.Block)] == list(
        range(5, 23)
    )
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    assert shapes["model.1.ffc.convl2l.weight"] == (64, 4, 7, 7)
    assert shapes["model.4.ffc.convl2g.weight"] == (384, 256, 3, 3)
    assert shapes["model.5.conv1.ffc.convg2g.conv1.0.weight"] == (192, 384, 1, 1)
    assert shapes["model.5.conv1.ffc.convg2g.fu.conv_layer.weight"] == (384, 384, 1, 1)
    assert shapes["model.24.weight"] == (512, 256, 3, 3) and shapes["model.34.weight"] == (3, 64, 7, 7)


def test_lama_hides_the_gap_and_stays_in_bounds() -> None:
    network = small("lama")
    hint = torch.randn(1, channels(1), 16, 16)
    hint[:, 4] = 0
    hint[:, 4, 4:9, 4:9] = 1
    other = hint.clone()
    other[:, 5, 4:9, 4:9] += 5
    torch.testing.assert_close(network(hint), network(other))
    assert network(hint).abs().max() <= CLIP


# --- cells, autoencoder, U-Net ----------------------------------------------------------------


def test_a_cell_by_hand() -> None:
    cell = network_time.Cell(1, 1)
    with torch.no_grad():
        cell.gates.weight.zero_()
        cell.gates.bias.copy_(torch.tensor([0.3, -0.2, 0.8, 1.1]))
    x = torch.zeros(1, 1, 4, 4)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    memory = 0.0
    state = None
    for _ in range(3):
        state = cell(x, state)
        memory = sigmoid(-0.2) * memory + sigmoid(0.3) * np.tanh(0.8)
    assert state[1].unique().item() == pytest.approx(memory, abs=1e-6)
    assert state[0].unique().item() == pytest.approx(sigmoid(1.1) * np.tanh(memory), abs=1e-6)


def test_the_contraction_is_the_jacobians_norm() -> None:
    torch.manual_seed(0)
    network = network_time.Autoencoder(1, ("observed",), width=2, levels=1).double()
    hint = torch.randn(1, channels(1), 4, 4, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(network.code, network.seen(hint))
    codes = network.code(network.seen(hint)).numel()
    expected = float(jacobian.square().sum()) / codes
    probes = torch.randn(4000, 1, 4, 4, dtype=torch.float64)
    found = float(network.contraction(hint.expand(4000, -1, -1, -1), probes, 1e-4))
    assert found == pytest.approx(expected, rel=0.1)


def test_levels_change_size_inside_residual_blocks() -> None:
    config = UNetConfig(2, 1, 8, (1, 2), 1, groups=4, resampling="residual")
    network = UNet(config)
    t = torch.tensor([3.0])
    assert network(torch.randn(1, 2, 9, 14), t).shape == (1, 1, 9, 14)
    block = network.down[0][-1]
    x = torch.randn(1, 8, 6, 6)
    halved = block(x, torch.randn(1, 32))  # a fresh block's branch is nothing
    torch.testing.assert_close(halved, torch.nn.functional.avg_pool2d(x, 2))
    with pytest.raises(ValueError, match="resampling is"):
        UNet(UNetConfig(2, 1, 8, (1, 2), resampling="bilinear"))


# --- training, graphs, fills --------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hills(tmp_path_factory.mktemp("data"), 56, 60)


def configured(kind, tmp_path, steps=3, **changes):
    config = load_config(kind, "small")
    config["network"] = {"kind": kind, "bands": 1, **TINY[kind]}
    config["size"] = 32
    config["samples"] |= {"folder": str(tmp_path / "samples"), "count": 6}
    config["training"] |= {"steps": steps, "batch": 2, "save_every": 10, "warmup": 1}
    return {**config, **changes}


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A finished run of each network, a few steps long, all on the same samples."""
    root = tmp_path_factory.mktemp("runs")
    for kind in network_fill.NETWORKS:
        config = configured(kind, root)
        made = maker(kind).recipe(config, data, Watch())
        before = {k: v.clone() for k, v in made.model.network.state_dict().items()}
        average = train(made.model, made.batch, made.loss, made.schedule, root / kind, Watch())
        moved = [k for k, v in average.network.state_dict().items() if not torch.equal(v, before[k])]
        assert len(moved) > len(before) // 2, kind
        made.finish(average, root / kind)
    return root


@pytest.mark.parametrize("kind", network_fill.NETWORKS)
def test_graphs_say_what_torch_says(runs, kind) -> None:
    import onnxruntime

    config = json.loads((runs / kind / "config.json").read_text())
    network = fillers.fresh(config)
    network.load_state_dict(load_file(runs / kind / fillers.WEIGHTS))
    session = onnxruntime.InferenceSession(str(runs / kind / NETWORK))
    step = network.multiple
    for count, height, width in ((1, 8 * step, 6 * step), (2, 10 * step, 16 * step)):  # sizes are free
        hint = torch.randn(count, channels(1), height, width)
        given = {"hint": hint.numpy()}
        if network.diffusion:
            x = torch.randn(count, 1, height, width)
            given |= {"x": x.numpy(), "t": np.full(count, 7, np.float32)}
            with torch.no_grad():
                expected = network(x, torch.full((count,), 7.0), hint)
        else:
            with torch.no_grad():
                expected = network.eval()(hint)
        (found,) = session.run(None, given)
        np.testing.assert_allclose(found, expected, atol=2e-4)


def tile(bands=2, size=40):
    random = np.random.default_rng(3)
    image = (0.2 + 0.05 * random.random((bands, size, size))).astype(np.float32)
    gaps = np.zeros(image.shape, bool)
    gaps[:, 12:24, 15:30] = True
    gaps[1, 30:33, 2:9] = True
    seen = np.where(gaps, np.float32(np.nan), image)
    return Tile(seen, gaps, (Reference(image + np.float32(0.01), -5, "before"),), row=8, column=16)


@pytest.mark.parametrize("kind", network_fill.NETWORKS)
def test_a_run_fills_gaps(runs, kind) -> None:
    given = tile()
    made = create("fast", 1, str(runs / kind))
    state = made.prepare(given)
    found = made.predict(given, state)
    assert np.isfinite(found.mean[given.gaps]).all() and np.isnan(found.mean[~given.gaps]).all()
    again = create("fast", 1, str(runs / kind)).predict(given, state)
    np.testing.assert_array_equal(found.mean, again.mean)
    other = create("fast", 2, str(runs / kind)).predict(given, state)
    changed = not np.array_equal(other.mean, found.mean, equal_nan=True)
    assert changed == (kind == "palette")  # the others draw nothing
    assert np.nanmax(np.abs(found.mean - 0.22)) < 0.5


def test_networks_of_three_bands_and_of_the_wrong_samples(data, tmp_path) -> None:
    config = configured("autoencoder", tmp_path)
    config["network"]["bands"] = 3
    with pytest.raises(TerramendError, match=r"network\.bands is 3"):
        maker("autoencoder").recipe(config, data, Watch())


def test_faults_of_a_configuration_are_said(data, tmp_path) -> None:
    for changes, words in (
        ({"network": {"kind": "lama2"}}, "there is no network"),
        ({"network": {"kind": "stcnn", "bands": 1, "depth": 3}}, "depth"),
        ({"network": {"kind": "stcnn", "bands": 1, "given": ["clouds"]}}, "clouds"),
        ({"size": 30}, "multiple of 4"),
        ({"start": "weights.safetensors"}, "only lama begins"),
    ):
        with pytest.raises(TerramendError, match=words):
            maker("autoencoder").recipe(configured("autoencoder", tmp_path, **changes), data, Watch())


def test_published_weights_are_taken_as_they_are(data, tmp_path) -> None:
    source = stirred(small("lama"))
    save_file(
        {f"generator.{k}": v.contiguous() for k, v in source.state_dict().items()},
        tmp_path / "big.safetensors",
    )
    config = configured("lama", tmp_path, steps=0, start=str(tmp_path / "big.safetensors"))
    made = maker("lama").recipe(config, data, Watch())
    average = train(made.model, made.batch, made.loss, made.schedule, tmp_path / "run", Watch())
    made.finish(average, tmp_path / "run")
    hint = torch.randn(1, channels(1), 16, 16)
    network = fillers.fresh(config).eval()
    network.load_state_dict(load_file(tmp_path / "run" / fillers.WEIGHTS))
    torch.testing.assert_close(network(hint), source(hint))
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04 no tensors")
    with pytest.raises(TerramendError, match="no run of lama to begin from"):
        maker("lama").recipe({**config, "start": str(tmp_path / "pickle.safetensors")}, data, Watch())
