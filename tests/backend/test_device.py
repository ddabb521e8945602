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
    yield
    device.probe.cache_clear()


def test_the_kernel_is_a_model_that_multiplies():
    session = onnxruntime.InferenceSession(device.kernel(), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert (entry.name, entry.shape, entry.type) == ("x", [64, 64], "tensor(float)")
    x = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) / 4096
    np.testing.assert_allclose(session.run(["y"], {"x": x})[0], x @ x, rtol=1e-5)


def test_the_cpu_computes():
    found = device.probe("cpu")
    assert found.computes and found.milliseconds > 0
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
