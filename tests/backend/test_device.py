"""The probe: a kernel by hand, run for real."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from terramend.backend import device
from terramend.backend.errors import TerramendError


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
    assert device.resolve("cpu") == ("cpu", "")


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
    assert device.resolve("auto")[0] == "cpu"
    assert "CPUExecutionProvider instead" in device.line() or "cannot run" in device.line()
    with pytest.raises(TerramendError) as caught:
        device.resolve("cuda")
    assert (caught.value.code, caught.value.exit_status) == ("environment.device", 3)


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
    assert device.resolve("cuda") == ("cuda", "")
