"""Charts of runs and experiments are written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from terramend.backend.experiments import schedules_report
from terramend.backend.training import pictures


def test_a_chart_that_breaks_off_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure
    path = tmp_path / "curves.png"
    schedules_report.curves(path)
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")

    def half(self: Any, target: Path, **_: Any) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("no room")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(OSError, match="no room"):
        schedules_report.curves(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    (tmp_path / "loss.csv").write_text("step,loss\n0,1\n")
    with pytest.raises(OSError, match="no room"):
        pictures.losses({"run": tmp_path / "loss.csv"}, tmp_path / "loss.png")
    assert not (tmp_path / "loss.png").exists()
