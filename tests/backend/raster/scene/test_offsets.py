"""A date that was moved is said, in words that an analyst can check."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.backend.fill import fill
from terramend.backend.raster.scene.offsets import say_moved, words
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch

from ...conftest import NORTH_UP, UTM, blobs, landscape
from ..makers import write


@pytest.mark.parametrize(
    "rows, columns, said",
    [
        (2, 0, "2 pixels down"),
        (0, -1, "1 pixel to the left"),
        (-1, 3, "1 pixel up and 3 pixels to the right"),
    ],
)
def test_words(rows, columns, said):
    assert words(rows, columns) == said


def test_the_first_of_many_is_named():
    watch = Watch()
    say_moved(["a", "b", "c"], [(0, 0), (1, 0), (0, 2)], watch)
    assert [notice.code for notice in watch.notices] == ["reference.moved", "notice.alike"]
    assert watch.notices[0].arguments == {"name": "b", "by": "1 pixel down"}
    quiet = Watch()
    say_moved(["a"], [(0, 0)], quiet)
    assert not quiet.notices


@pytest.mark.parametrize("offset", [(0, 0), (2, -3)])
def test_a_fill_says_it(tmp_path, offset):
    truth = landscape(2, 160, 180, seed=4).astype("uint16")
    rows, columns = offset
    other = np.roll(truth, (rows, columns), (1, 2)) // 2 + 200
    paths = [tmp_path / name for name in ("in.tif", "other.tif", "gaps.tif")]
    gaps = blobs(160, 180, 0.2)
    for path, image in zip(paths, (truth, other, gaps[None].astype(np.uint8)), strict=True):
        write(path, image, left=NORTH_UP.c, top=NORTH_UP.f, crs=UTM)
    watch = Watch()
    request = FillRequest(
        (str(paths[0]),), str(tmp_path / "out.tif"), gaps=(Mask(str(paths[2]), "nonzero"),),
        references=(Reference(str(paths[1]), (Mask("", "none"),)),), radiometry="sentinel2",
    )  # fmt: skip
    fill(request, watch)
    said = [notice.sentence for notice in watch.notices]
    moved = [text for text in said if "moves it back" in text]
    assert len(moved) == any(offset)
    if moved:
        assert "other" in moved[0] and "2 pixels down and 3 pixels to the left" in moved[0]
