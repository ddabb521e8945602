"""The expected error is that of a fill at full resolution, found without writing anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasterio.env import get_gdal_config
from terramend.backend import calls
from terramend.backend.errors import TerramendError
from terramend.backend.expect import expect
from terramend.backend.fill import fill
from terramend.backend.preview import preview
from terramend.backend.request import FillRequest, Mask, Reference, to_json
from terramend.backend.watch import Watch

from .conftest import blobs, landscape


@pytest.fixture
def two_dates(sample: Path, tmp_path: Path) -> FillRequest:
    folder = sample / "two_dates"
    other = Mask(str(folder / "boadella_2020-01-28_cloudmask.tif"))
    return FillRequest(
        target=(str(folder / "boadella_2020-01-13.tif"),),
        gaps=(Mask(str(folder / "boadella_2020-01-13_cloudmask.tif")),),
        references=(Reference(str(folder / "boadella_2020-01-28.tif"), (other,)),),
        output=str(tmp_path / "filled.tif"),
        quality="fast",
        overwrite=True,
    )


def test_it_is_what_the_fill_will_state_and_a_decimated_preview_states_none(two_dates: FillRequest) -> None:
    found = expect(two_dates, Watch())
    assert not list(Path(two_dates.output).parent.iterdir())
    made = fill(two_dates, Watch())
    assert made.expected_error is not None
    assert found["expected_error"] == pytest.approx(made.expected_error, rel=0.15)
    assert found["model_reason"] == made.model_reason and found["tried"] == list(made.tried)
    assert found["reasons"] == list(made.reasons)
    assert " ".join(reason["message"] for reason in made.reasons) == made.model_reason
    assert preview(two_dates, Watch(), 128).expected_error is None
    assert preview(two_dates, Watch(), 4096).expected_error == made.expected_error


def test_a_limit_holds_gdals_cache(two_dates: FillRequest, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        "terramend.backend.expect.windows", lambda *_: seen.append(get_gdal_config("GDAL_CACHEMAX")) or []
    )
    expect(replace(two_dates, memory_limit=1.0), Watch())
    assert seen == [125e6]


def test_no_gaps_no_error(write) -> None:
    target = write("in.tif", landscape(1, 60, 60).astype("uint16"))
    gaps = write("gaps.tif", np.zeros((60, 60), np.uint8))
    request = FillRequest(target=(str(target),), gaps=(Mask(str(gaps), "nonzero"),), output="never.tif")
    assert expect(request, Watch())["expected_error"] is None


@pytest.mark.parametrize("call", ["inspect", "expect", "accuracy"])
def test_calls_that_write_no_raster_need_no_output(write, call: str) -> None:
    target = write("in.tif", landscape(1, 90, 90).astype("uint16"))
    gaps = write("gaps.tif", blobs(90, 90, 0.2).astype(np.uint8))
    request = FillRequest(target=(str(target),), gaps=(Mask(str(gaps), "nonzero"),), output="x.tif")
    asked = to_json(replace(request, radiometry="sentinel2"))
    del asked["output"]
    assert calls.CALLS[call]({"request": asked}, Watch())["model"] == "guided"
    with pytest.raises(TerramendError, match="output"):
        calls.CALLS["fill"]({"request": asked}, Watch())
    assert {path.name for path in target.parent.iterdir()} == {"in.tif", "gaps.tif"}
