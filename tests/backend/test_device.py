"""The probe: a kernel by hand, run for real."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import rasterio
from terramend.backend import device
from terramend.backend.errors import TerramendError
from terramend.backend.fill import fill
from terramend.backend.filling.choose import create
from terramend.backend.request import FillRequest
from terramend.backend.watch import Watch
from terramend.models import onnx
from terramend.models.registry import ROWS
from terramend.models.weights import PACKAGED

from .conftest import landscape


@pytest.fixture(autouse=True)
def _fresh():
    device.probe.cache_clear()
    device.torch_probe.cache_clear()
    yield
    device.probe.cache_clear()
    device.torch_probe.cache_clear()


def test_the_kernel_is_a_model_that_multiplies():
    session = onnxruntime.InferenceSession(device.kernel(), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert (entry.name, entry.shape, entry.type) == ("x", [64, 64], "tensor(float)")
    x = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) / 4096
    np.testing.assert_allclose(session.run(["y"], {"x": x})[0], x @ x, rtol=1e-5)


def test_the_cpu_computes():
    found = device.probe("cpu")
    assert found.computes and found.milliseconds >= 0
    device.check("cpu")


class Session:
    """A session that falls back, as ONNX Runtime's does."""

    def __init__(self, *_, **__):
        pass

    def get_providers(self):
        return ["CPUExecutionProvider"]


def test_a_listed_provider_that_falls_back_does_not_compute(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(device.PROVIDERS.values()))
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    assert not device.probe("cuda").computes
    assert "CPUExecutionProvider instead" in device.probe("cuda").why
    device.check("auto")
    assert "CPUExecutionProvider instead" in device.line() or "cannot run" in device.line()
    with pytest.raises(TerramendError) as caught:
        device.check("cuda")
    assert (caught.value.code, caught.value.exit_status) == ("environment.device", 3)


@pytest.mark.skipif(
    device.PROVIDERS["cuda"] in onnxruntime.get_available_providers(), reason="ONNX Runtime has CUDA"
)
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_network_that_was_asked_onto_a_gpu_is_not_opened_on_the_cpu():
    with pytest.raises(RuntimeError, match="does not run remover.onnx on cuda"):
        onnx.session(PACKAGED / "msda-cr" / "remover.onnx", "cuda")


def test_a_wrong_result_is_no_computing(monkeypatch):
    class Wrong(Session):
        def run(self, names, feeds):
            return [np.zeros((64, 64), np.float32)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Wrong)
    assert device.probe("cpu").why == "the kernel's result is wrong"


def test_a_broken_runtime_is_a_finding_not_a_crash(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("libcudnn.so.9: cannot open shared object file\nmore lines")

    monkeypatch.setattr(onnxruntime, "InferenceSession", broken)
    assert device.probe("cpu") == device.Probe(
        "cpu", False, None, "libcudnn.so.9: cannot open shared object file"
    )


@pytest.fixture
def second(monkeypatch):
    """A provider that comes with the CPU's wheel in the place of CUDA's: a real session that is not the default's."""
    name = "AzureExecutionProvider"
    if name not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has one provider only")
    for module in (device, onnx):
        monkeypatch.setitem(module.PROVIDERS, "cuda", name)
    monkeypatch.setitem(onnx.OPTIONS, "cuda", {})
    return name


def test_networks_compute_where_they_were_asked_to(second):
    assert [device.for_networks(asked, False) for asked in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
    for row in (row for row in ROWS if row.networks):
        for mode in row.modes:
            for asked in ("cuda", "cpu"):
                request = FillRequest(("a.tif",), "o.tif", model=row.name, mode=mode, device=asked)
                found = device.where(create(row, request))
                assert found == (asked, device.PROVIDERS[asked]), (row.name, mode)


def test_tags_say_what_ran_and_what_cannot_move_is_refused(second, write):
    scene = landscape(3, 48, 48).astype("uint16")
    scene[:, 10:20, 10:20] = 0
    colours = lambda file: setattr(file, "descriptions", ("B04", "B03", "B02"))  # noqa: E731
    path = write("scene.tif", scene, nodata=0, decorate=colours)
    request = FillRequest(
        (str(path),), str(path.with_name("o.tif")), radiometry="dn", device="cuda", overwrite=True
    )
    assert fill(replace(request, mode="clear"), Watch()).device == "cuda"
    with rasterio.open(request.output) as file:
        assert (file.tags()["TERRAMEND_DEVICE"], file.tags()["TERRAMEND_PROVIDER"]) == ("cuda", second)
    assert fill(replace(request, mode="clear", device="cpu"), Watch()).device == "cpu"
    for model in ("mean", "guided"):  # which looks at other dates there, and has none
        with pytest.raises(TerramendError) as caught:
            fill(replace(request, model=model), Watch())
        assert caught.value.code == "model.device"


def test_where_cuda_does_not_compute_networks_are_refused_or_stay(monkeypatch):
    monkeypatch.setattr(device, "probe", lambda name: device.Probe(name, False, None, "no card"))
    assert [device.for_networks(asked, False) for asked in ("auto", "cpu")] == ["cpu", "cpu"]
    with pytest.raises(TerramendError, match="no card"):
        device.for_networks("cuda", False)


def test_without_torch_the_methods_that_could_use_it_stay_where_they_are(monkeypatch):
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: None)
    assert device.torch_probe() == device.Probe("cuda, by torch", False, None, "torch is not installed")
    assert device.on_torch("auto") is None and device.on_torch("cpu") is None
    with pytest.raises(TerramendError) as caught:
        device.on_torch("cuda")
    assert caught.value.code == "environment.device" and "torch is not installed" in str(caught.value)


def test_a_torch_without_cuda_is_not_imported(monkeypatch):
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(device.importlib.metadata, "version", lambda name: "2.13.0+cpu")
    assert device.torch_probe().why == "torch 2.13.0+cpu is built without"


def test_torch_on_cuda_is_taken_where_it_computes(monkeypatch):
    torch = device.Probe("cuda, by torch", True, 0.1, "")
    monkeypatch.setattr(device, "torch_probe", lambda: torch)
    assert device.on_torch("auto") == device.on_torch("cuda") == "cuda"
    assert device.on_torch("cpu") is None
    none = device.Probe("cuda", False, None, "no provider")
    monkeypatch.setattr(device, "probe", lambda name: none)
    device.check("cuda")
