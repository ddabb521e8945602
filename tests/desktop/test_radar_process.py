"""Align-CR from the toolbox, on a real triplet."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from osgeo import gdal

gdal.UseExceptions()
PROGRAM = "/usr/bin/qgis_process.bin"


def test_fills_with_radar(qgis: Any, data_pack: Path, tmp_path: Path) -> None:
    places = {}
    for word in ("cloudy", "cloudprob", "s1"):
        places[word] = tmp_path / f"{word}.tif"
        shutil.copy(data_pack / "val" / "s1_s2_triplets" / f"sen12mscr_sample_2729_{word}.tif", places[word])
    output = tmp_path / "filled.tif"
    done = subprocess.run(
        [
            PROGRAM, "run", "terramend:fillgaps", "--json", "--", f"TARGET={places['cloudy']}",
            f"GAPS={places['cloudprob']}", f"SAR={places['s1']}", "MODEL=align-cr", f"OUTPUT={output}",
        ],
        env={**qgis.environ, "QT_QPA_PLATFORM": "offscreen"}, capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]["UNFILLED_SAMPLES"] == 0
    result = gdal.Open(str(output))
    assert result.GetMetadataItem("TERRAMEND_MODEL") == "align-cr"
    before, after = gdal.Open(str(places["cloudy"])).ReadAsArray(), result.ReadAsArray()
    changed = (before != after).any(0)
    assert changed.any() and not changed.all()
