"""Recipes: made from any folder, stored without pixels, checked by hash, made into tiles."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from terramend.backend.datasets.gaps import GROW, Gap
from terramend.backend.datasets.place import Date, Place
from terramend.backend.errors import TerramendError
from terramend.backend.evaluation import cases as module
from terramend.backend.evaluation import make_cases as module_made
from terramend.backend.evaluation.cases import Case, Recipe, View, key, load, sample, save, verify
from terramend.backend.evaluation.make_cases import make_cases
from terramend.backend.watch import Watch

from .conftest import BANDS, write

RECIPES = Path(module.__file__).parent / "recipes"


@pytest.fixture(scope="module")
def recipe(scenes: Path) -> Recipe:
    """Cases of the small folder."""
    return make_cases(scenes, "scenes", seed=4)


def test_the_folder_gives_every_kind_and_track(recipe: Recipe) -> None:
    assert {case.gap.kind for case in recipe.cases} == {"cloud", "blob", "stripes", "random"}
    assert {track for case in recipe.cases for track in case.tracks} == {"S", "S-DEM", "T1", "T2"}
    assert {case.place for case in recipe.cases} == {"east", "west"}
    assert all(case.target != "2020-05-11" for case in recipe.cases)  # under cloud: no truth


def test_the_same_seed_makes_the_same_recipe(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    assert make_cases(scenes, "scenes", seed=4) == recipe
    assert make_cases(scenes, "scenes", seed=5) != recipe
    save(recipe, tmp_path / "r.json")
    assert load(tmp_path / "r.json") == recipe


def test_what_the_folder_lacks_is_said(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for name in ("2020-05-01_s2.tif", "2020-06-01_s2.tif"):
        shutil.copy(scenes / "fields" / "east" / name, tmp_path / "p" / name)
    shutil.copy(tmp_path / "p" / "2020-06-01_s2.tif", tmp_path / "p" / "2020-06-01_twin.tif")
    watch = Watch()
    made = make_cases(tmp_path, "mine", 4, watch)
    assert "cloud" not in {case.gap.kind for case in made.cases}
    assert {notice.code for notice in watch.notices} == {"evaluate.day", "evaluate.no-clouds"}


def test_a_mask_that_hides_too_much_to_be_a_cases_cloud_is_said(scenes: Path, tmp_path: Path) -> None:
    shutil.copytree(scenes / "fields" / "east", tmp_path / "p")
    watch = Watch()
    made = make_cases(tmp_path, "mine", 4, watch)
    assert "cloud" not in {case.gap.kind for case in made.cases}  # 0.38, and 0.6 when grown
    assert [notice.code for notice in watch.notices] == ["evaluate.no-clouds"]


def test_no_case_lies_where_its_target_shows_next_to_nothing(tmp_path: Path) -> None:
    """A corner without data is a small part of a large scene, and much of a case's window."""
    (tmp_path / "p").mkdir()
    for day, empty in (("2020-05-01", 0), ("2020-06-01", 110)):
        image = np.full((3, 400, 1600), 900, np.uint16)
        image[:, :empty, :empty] = 0
        write(tmp_path / "p" / f"{day}_s2.tif", image, BANDS)
        with rasterio.open(tmp_path / "p" / f"{day}_s2.tif", "r+") as scene:
            scene.nodata = 0
    made = [case for seed in range(12) for case in make_cases(tmp_path, "p", seed).cases]
    assert {case.target for case in made if case.window[:2] == (0, 0)} == {"2020-05-01"}


def test_a_tile_hides_the_truth(recipe: Recipe, scenes: Path) -> None:
    for case in recipe.cases:
        for track in case.tracks:
            made = sample(case, track, scenes)
            assert np.isnan(made.tile.image[made.tile.gaps]).all()
            assert np.isfinite(made.truth[:, made.scored]).all() and made.scored.any()
            assert (made.tile.gaps[0] >= made.scored).all()
            valid = made.tile.valid
            np.testing.assert_array_equal(made.tile.image[valid], made.truth[valid])
            assert (made.tile.terrain is None) == (track != "S-DEM")


def test_what_the_targets_own_mask_hides_is_no_truth(scenes: Path) -> None:
    case = Case("p", "fields", "east", "2020-05-11", "2020-05-11", (0, 0, 72, 72), Gap("whole"),
                tracks={"S": View()})  # fmt: skip
    scored = sample(case, "S", scenes).scored
    np.testing.assert_array_equal(scored, ~module.mask_at(scenes, "fields", "east", "2020-05-11"))


def test_references_keep_their_own_gaps_and_days(recipe: Recipe, scenes: Path) -> None:
    case = next(c for c in recipe.cases if len(c.tracks["T2"].references) == 2 and c.target == "2020-05-01")
    made = sample(case, "T2", scenes)
    by_name = {reference.name: reference for reference in made.tile.references}
    assert by_name["2020-05-11"].days == 10 and by_name["2020-06-01"].days == 31
    row, column, height, width = case.window
    mask = module.mask_at(scenes, "fields", case.place, "2020-05-11")
    grown = module.grown(mask, GROW)[row : row + height, column : column + width]
    np.testing.assert_array_equal(np.isnan(by_name["2020-05-11"].image[0]), grown)
    assert np.isfinite(by_name["2020-06-01"].image).all()


def test_changed_data_and_changed_gaps_are_found(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    verify(recipe, scenes)
    copy = tmp_path / "scenes"
    shutil.copytree(scenes, copy)
    path = next((copy / "fields" / "east").glob("*_s2.tif"))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(TerramendError) as error:
        verify(recipe, copy)
    assert error.value.code == "evaluate.data" and "fields/east" in str(error.value)
    wrong = dataclasses.replace(recipe.cases[0], sha256="0" * 16)
    with pytest.raises(TerramendError) as error:
        sample(wrong, "S", scenes)
    assert error.value.code == "evaluate.gap"


def test_the_key_tells_what_a_method_sees(recipe: Recipe) -> None:
    case = next(case for case in recipe.cases if case.gap.source and case.gap.source[1] != case.place)
    alone = key(case, View(), recipe.sources)
    assert alone == key(dataclasses.replace(case, name="other", tracks={}), View(), recipe.sources)
    changed, cloud = ({**recipe.sources, f"fields/{place}": "0"} for place in ("east", "west"))
    others = [
        key(case, case.tracks["T1"], recipe.sources),
        key(case, View(terrain=True), recipe.sources),
        key(dataclasses.replace(case, gap=Gap("blob", 1, 0.3)), View(), recipe.sources),
        key(case, View(), changed),
        key(case, View(), cloud),
    ]
    assert len({alone, *others}) == 6


def test_real_pairs_have_another_date_as_truth(scenes: Path) -> None:
    case = Case("p", "fields", "east", "2020-05-11", "2020-05-01", (0, 0, 72, 72), Gap("own"),
                tracks={"P": View()})  # fmt: skip
    made = sample(case, "P", scenes)
    own = module.grown(module.mask_at(scenes, "fields", "east", "2020-05-11"))
    np.testing.assert_array_equal(made.scored, own)
    assert np.isfinite(made.original).all() and np.isnan(made.tile.image[:, own]).all()
    both = ~own & np.isfinite(made.truth).all(0)
    apart = (made.truth - made.original)[:, both].astype(np.float64)
    np.testing.assert_allclose(made.change, np.sqrt((apart**2).mean(1)), rtol=1e-5)


@pytest.mark.parametrize(("hidden", "made"), [(0, False), (15, True), (65, False)])
def test_a_pair_with_next_to_no_cloud_or_no_rim_is_no_case(hidden: int, made: bool) -> None:
    image, gaps = np.zeros((1, 72, 72), np.float32), np.zeros((72, 72), bool)
    gaps[:hidden] = True
    place = Place("d", "p", ("B02",), (490.0,), (Date("cloudy", image, gaps), Date("clear", image, gaps)))
    assert (module_made._real_pair(Path(), place, "cloudy", "clear") is not None) == made


def test_small_masks_are_not_blown_up_to_clouds_of_blocks(tmp_path: Path) -> None:
    for place, shape in (("small", (48, 48)), ("long", (48, 192))):
        (tmp_path / "fields" / place).mkdir(parents=True)
        for day in ("2020-05-01", "2020-06-01"):
            write(tmp_path / "fields" / place / f"{day}.tif", np.full((3, *shape), 900, np.uint16), BANDS)
    cloud = np.zeros((1, 48, 48), np.uint8)
    cloud[:, 10:30, 5:25] = 1
    write(tmp_path / "fields" / "small" / "2020-06-01_mask.tif", cloud)
    found = [case for case in make_cases(tmp_path, "s", 4).cases if case.gap.kind == "cloud"]
    assert {case.place for case in found} == {"small"}  # a pixel of it would be four of the long window


def test_what_is_no_recipe_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"cases": 3}))
    with pytest.raises(TerramendError, match="no file of cases"):
        load(path)
    with pytest.raises(TerramendError, match="no scene"):
        make_cases(tmp_path, "none")


@pytest.mark.parametrize("split", ["val", "train"])
def test_the_stored_recipes_fit_the_pack(split: str, data_pack: Path) -> None:
    recipe = load(RECIPES / f"{split}.json")
    verify(recipe, data_pack / split)
    assert recipe == make_cases(data_pack / split, split, recipe.seed) if split == "val" else recipe.cases
    for case in recipe.cases[:: 1 if split == "val" else 9]:
        sample(case, next(iter(case.tracks)), data_pack / split)  # checks the gap's hash


def test_val_shapes_are_apart_from_train(data_pack: Path) -> None:
    hashes = [set(load(RECIPES / f"{split}.json").sources.values()) for split in ("val", "train")]
    assert not hashes[0] & hashes[1]


WRONG = [
    {"name": 5},
    {"window": [0, 0, 64]},
    {"window": [0, -1, 64, 64]},
    {"place": "nowhere"},
    {"gap": {"kind": "fog"}},
    {"gap": {"kind": "cloud", "source": ["fields", "east"]}},
    {"gap": {"kind": "blob", "seed": 1, "fraction": "half"}},
    {"tracks": {"S": {"terrain": 1}}},
    {"tracks": {"T9": {}}},
    {"tracks": {"T1": {"references": ["2020-05-01"]}}},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_case_with_an_entry_that_cannot_be_is_an_error(recipe: Recipe, tmp_path: Path, wrong) -> None:
    path = tmp_path / "r.json"
    save(recipe, path)
    stored = json.loads(path.read_text())
    stored["cases"][0] |= wrong
    path.write_text(json.dumps(stored))
    with pytest.raises(TerramendError, match=r"r\.json is no file of cases"):
        load(path)


@pytest.mark.parametrize(
    "wrong", [{"target": "2019-01-01"}, {"truth": "never"}, {"window": (60, 60, 64, 64)}], ids=str
)
def test_a_case_of_what_the_data_have_not_is_an_error(recipe: Recipe, scenes: Path, wrong) -> None:
    with pytest.raises(TerramendError) as error:
        sample(dataclasses.replace(recipe.cases[0], **wrong), "S", scenes)
    assert error.value.code == "evaluate.data"
