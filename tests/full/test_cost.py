"""What networks cost, beside what was measured on the released ones."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend.experiments import de, de_report  # noqa: E402
from terramend.backend.experiments.cost import cost, threads  # noqa: E402
from terramend.backend.training import de as training  # noqa: E402
from terramend.backend.training.recipe import load_config  # noqa: E402
from terramend.models.diffusion_enhancement.network import Enhancement  # noqa: E402
from terramend.models.rivals.network import NETWORKS, make  # noqa: E402


def test_multiply_adds_of_one_convolution() -> None:
    layer = torch.nn.Conv2d(3, 5, 3, padding=1, bias=False)
    found = cost(layer, lambda: layer(torch.zeros(1, 3, 10, 12)), repeat=1)
    assert found.gmac * 1e9 == 3 * 5 * 9 * 10 * 12
    assert found.parameters * 1e6 == 3 * 5 * 9
    assert found.seconds >= 0


def test_multiply_adds_are_those_of_the_released_networks() -> None:
    with torch.device("meta"):
        model = Enhancement(training.layout(load_config("de", "paper")))
        x, t = torch.zeros(1, 4, 256, 256), torch.ones(1)
        calls = {
            "DE, noise predictor (paper)": (model, lambda: model.noise(x, t, x)),
            "DE, one step (paper)": (model, lambda: model(x, t, x, x)),
        }
        for kind in ("mprnet", "amgan-cr"):
            net = make(kind, {"inputs": 4, "outputs": 4}).eval()
            calls[f"{kind} (paper)"] = (net, lambda net=net: net(x))
        for name, (module, call) in calls.items():
            assert cost(module, call, repeat=1).gmac == pytest.approx(de_report.PAPER[name][0], rel=0.02)


def test_table_of_costs(monkeypatch) -> None:
    monkeypatch.setattr(de, "SIDE", 16)
    monkeypatch.setattr(de, "threads", lambda: threads(1))  # two wait for each other on a busy machine
    before = torch.get_num_threads()
    found = de._costs("small")
    names = ("DE, noise predictor", "DE, one step", "DE, 10 steps", *NETWORKS)
    rows = [f"{name} ({layout})" for layout in ("paper", "small") for name in names]
    assert list(found) == [*rows, "DE, 10 steps (small, as served)"]
    assert torch.get_num_threads() == before
    assert all(row.gmac > 0 and row.seconds >= 0 for row in found.values())
    head, body = de_report._costs(found)
    assert len(body) == len(found) and all(len(row) == len(head) for row in body)
