"""The examples of docs/python.md run as they stand, one after the other, and make what the page says."""

from __future__ import annotations

import re
import shutil

import numpy as np
import rasterio


def test_the_examples_run(root, tmp_path, monkeypatch, capsys):
    shutil.copytree(root / "sample" / "two_dates", tmp_path / "sample" / "two_dates")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (root / "docs" / "python.md").read_text("utf-8"), re.M | re.S
    )
    assert len(blocks) == 4
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)

    image, gaps, filled, made = (names[name] for name in ("image", "gaps", "filled", "made"))
    assert isinstance(names["watch"].notices, list)
    said = capsys.readouterr().out
    assert "run.cancelled" in said
    assert re.search(r"\d\.\d% gaps, expected error 0\.0\d+ in reflectance", said)
    np.testing.assert_array_equal(filled[~gaps], image[~gaps])
    assert np.isfinite(filled).all() and (made.std[gaps] > 0).all()
    errors = [float(found) for found in re.findall(r"RMSE (0\.\d+)", said)]
    assert len(errors) == 2 and 0.005 < errors[0] < 0.05 and 0.005 < errors[1] < 0.015
    with rasterio.open("filled.tif") as written:  # rounded to whole numbers
        apart = np.abs(written.read() / 10_000 - filled)[gaps]
    assert np.quantile(apart, 0.9) < 1e-4
