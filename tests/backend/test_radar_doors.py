"""Align-CR on a real triplet with the weights that come along: from the shell, and as a row of a batch."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
import rasterio
from terramend.backend.cli import main
from terramend.models.base import Source


@pytest.fixture
def triplet(data_pack, tmp_path):
    """Folder with `cloudy.tif`, `cloudprob.tif` and `s1.tif` of a validation scene."""
    for word in ("cloudy", "cloudprob", "s1"):
        name = f"sen12mscr_sample_5254_{word}.tif"
        shutil.copy(data_pack / "val" / "s1_s2_triplets" / name, tmp_path / f"{word}.tif")
    return tmp_path


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def test_from_the_shell(triplet):
    target, sar, out = (str(triplet / name) for name in ("cloudy.tif", "s1.tif", "out.tif"))
    words = ["--sar", sar, "--model", "align-cr", "--provenance", "-o", out]
    assert main(["fill", target, "--gaps", str(triplet / "cloudprob.tif"), *words]) == 0
    before, after, cloud = read(target), read(out), read(triplet / "cloudprob.tif")[0] >= 40
    source = read(triplet / "out_provenance.tif")[0]
    kept = source == Source.VALID
    assert np.array_equal(before[:, kept], after[:, kept])
    assert not kept[cloud].any() and set(np.unique(source[~kept])) <= {Source.GUIDE, Source.SURROUNDINGS}
    with rasterio.open(out) as file:
        tags = file.tags()
    assert tags["TERRAMEND_MODEL"] == "align-cr"

    assert main(["clear", target, *words, "--overwrite"]) == 0
    assert (read(triplet / "out_provenance.tif")[0] == Source.ALTERED).all()
    assert (read(out) != before).mean() > 0.9


def test_as_rows_of_a_batch(triplet):
    rows = "cloudy.tif,cloudprob.tif,s1.tif,one.tif\ncloudy.tif,cloudprob.tif,,two.tif\n"
    (triplet / "table.csv").write_text("target,gaps,sar,output\n" + rows)
    words = ["--model", "align-cr", "--results", str(triplet / "results.csv")]
    assert main(["batch", str(triplet / "table.csv"), *words]) == 5  # the second has no radar, and says so
    with (triplet / "results.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (triplet / "one.tif").exists() and not (triplet / "two.tif").exists()
    assert "align-cr" in str(first) and "--sar" in str(second)
