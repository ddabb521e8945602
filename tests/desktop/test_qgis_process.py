"""`qgis_process`: the algorithms without a window, from a shell."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal

gdal.UseExceptions()
PROGRAM = "/usr/bin/qgis_process.bin"  # Debian's wrapper adds an option that this version does not know


def run(qgis: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**qgis.environ, "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )


def test_the_algorithms_are_there(qgis: Any) -> None:
    listed = run(qgis, "list", "--json")
    provider = json.loads(listed.stdout)["providers"]["terramend"]
    assert set(provider["algorithms"]) == {
        "terramend:fillgaps", "terramend:makegapmask", "terramend:removethincloud", "terramend:checkaccuracy",
    }  # fmt: skip
    helped = run(qgis, "help", "terramend:fillgaps")
    assert "bit-identical" in helped.stdout and "REFERENCE_DATES" in helped.stdout


def test_a_fill_end_to_end(qgis: Any, tmp_path: Path) -> None:
    target, mask, other = (
        qgis.scenes / name
        for name in (
            "boadella_2020-01-13.tif",
            "boadella_2020-01-13_cloudmask.tif",
            "boadella_2020-01-28.tif",
        )
    )
    output = tmp_path / "gefüllt.tif"
    done = run(
        qgis, "run", "terramend:fillgaps", "--json", "--", f"TARGET={target}", f"GAPS={mask}",
        f"REFERENCES={other}", f"OUTPUT={output}", f"PROVENANCE={tmp_path / 'provenance.tif'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["GAP_PERCENT"] == pytest.approx(22.38, abs=0.01)
    assert results["UNFILLED_SAMPLES"] == 0
    before, after = gdal.Open(str(target)).ReadAsArray(), gdal.Open(str(output)).ReadAsArray()
    hole = gdal.Open(str(mask)).ReadAsArray() > 0
    assert (before[:, ~hole] == after[:, ~hole]).all()
    assert (after[:, hole] > 0).all()
    request = json.loads(gdal.Open(str(output)).GetMetadataItem("TERRAMEND_REQUEST"))
    assert request["references"][0]["path"] == str(other)


def test_a_failure_has_its_sentence_and_no_output(qgis: Any, tmp_path: Path) -> None:
    output = tmp_path / "filled.tif"
    target = qgis.scenes / "boadella_2020-01-13.tif"
    done = run(qgis, "run", "terramend:fillgaps", "--", f"TARGET={target}", "MODEL=magic", f"OUTPUT={output}")
    assert done.returncode != 0
    assert "magic" in done.stdout + done.stderr
    assert not output.exists()
