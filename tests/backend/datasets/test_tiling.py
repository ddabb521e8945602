"""Tiles cover, neighbours overlap, and no ground is in two splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.datasets import tiling


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.sampled_from((0.0, 0.25, 0.5, 0.9)))
def test_tiles_cover_the_raster_and_overlap(height, width, size, overlap):
    seen = np.zeros((height, width), int)
    found = tiling.tiles(height, width, size, overlap)
    for tile in found:
        assert (tile.height, tile.width) == (min(size, height), min(size, width))
        assert 0 <= tile.row <= height - tile.height and 0 <= tile.column <= width - tile.width
        seen[tile.slices] += 1
    assert seen.min() >= 1
    starts = sorted({tile.row for tile in found})
    assert all(b - a <= max(1, size * (1 - overlap)) for a, b in zip(starts, starts[1:]))


def test_the_papers_tiles():
    found = tiling.tiles(1855, 1855)  # half a degree at 30 m
    assert (tiling.SIZE, tiling.OVERLAP, len(found)) == (512, 0.5, 49)
    assert found[1].column - found[0].column == 256


@pytest.mark.parametrize(("size", "overlap"), [(0, 0.5), (8, 1.0), (8, -0.1)])
def test_no_tiles(size, overlap):
    with pytest.raises(ValueError, match="tile"):
        tiling.tiles(10, 10, size, overlap)


boxes = st.tuples(st.integers(-180, 170), st.integers(-80, 70), st.integers(1, 30), st.integers(1, 10)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@given(st.lists(boxes, min_size=2, max_size=20), st.floats(0.05, 0.95), st.integers(0, 100))
def test_no_ground_is_on_both_sides(found, test, seed):
    regions = {f"r{i:02d}": box for i, box in enumerate(found)}
    sides = tiling.split(regions, test, seed)
    assert set(sides) == set(regions) and set(sides.values()) <= {"train", "val"}
    ground = {side: set() for side in ("train", "val")}
    for name, (west, south, east, north) in regions.items():  # whole degrees: cells say it exactly
        cells = {(x % 360, y) for x in range(int(west), int(east)) for y in range(int(south), int(north))}
        ground[sides[name]] |= cells
    assert not ground["train"] & ground["val"]
    if len(tiling.groups(regions)) > 1:
        assert set(sides.values()) == {"train", "val"}
    else:
        assert set(sides.values()) == {"train"}


def test_tiles_of_both_sides_never_share_a_pixel():
    """Two dates and a neighbour of one place, and another place: cut into tiles and split."""
    regions = {"zion-a": (-113.5, 37.0, -113.0, 37.5), "zion-b": (-113.5, 37.0, -113.0, 37.5),
               "east": (-113.1, 37.2, -112.6, 37.7), "far": (10.0, 46.0, 10.5, 46.5)}  # fmt: skip
    assert tiling.groups(regions) == [["east", "zion-a", "zion-b"], ["far"]]
    for seed in range(8):
        sides = tiling.split(regions, seed=seed)
        assert sides["east"] == sides["zion-a"] == sides["zion-b"] != sides["far"]
        ground = {"train": set(), "val": set()}
        for name, (west, _, _, north) in regions.items():
            for tile in tiling.tiles(500, 500, 128):
                rows, columns = (range(at, at + 128, 16) for at in (tile.row, tile.column))
                ground[sides[name]] |= {
                    (round(north * 1000) - r, round(west * 1000) + c) for r in rows for c in columns
                }
        assert not ground["train"] & ground["val"]


def test_a_region_between_two_joins_them_and_a_border_does_not():
    between = {"a": (0.0, 0.0, 2.0, 2.0), "b": (3.0, 0.0, 5.0, 2.0), "c": (1.0, 0.0, 4.0, 2.0)}
    assert tiling.groups(between) == [["a", "b", "c"]]
    assert tiling.groups({**between, "c": (2.0, 0.0, 3.0, 2.0), "d": (0.0, 2.0, 5.0, 4.0)}) == [
        [n] for n in "abcd"
    ]


def test_the_date_line_is_no_border():
    assert len(tiling.groups({"east": (179.0, 0.0, 181.0, 1.0), "west": (-180.0, 0.0, -179.5, 1.0)})) == 1
    assert len(tiling.groups({"a": None, "b": None})) == 2  # nothing is known of where they lie


def test_about_the_share_is_held_back_and_the_seed_decides():
    regions = {f"{i:03d}": (i % 18 * 20.0 - 180, i // 18 * 10.0 - 60, i % 18 * 20.0 - 179, i // 18 * 10.0 - 59)
               for i in range(100)}  # fmt: skip
    sides = tiling.split(regions)
    assert list(sides.values()).count("val") == 20
    assert sides == tiling.split(dict(reversed(regions.items()))) != tiling.split(regions, seed=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        tiling.split(regions, 1.0)
