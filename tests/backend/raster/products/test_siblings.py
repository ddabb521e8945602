"""Masks and references that lie beside a raster."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import makers
import numpy as np
import pytest
import rasterio.shutil
from terramend.backend.errors import TerramendError
from terramend.backend.filling.opening import open_inputs
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.products.siblings import find_references, masks_beside, split_paths
from terramend.backend.raster.scene.references import open_references
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch


def tif(path, bands=1, **options):
    image = np.random.default_rng(1).integers(1, 9000, (bands, 64, 64)).astype(np.uint16)
    return makers.write(path, image, **options)


def opened(path):
    return open_product([path], watch=Watch())[0]


@pytest.mark.parametrize(
    ("image", "mask", "kind"),
    [
        ("S2_20200101.tif", "S2_20200101_SCL.tif", "scl"),
        ("S2_20200101.tif", "S2_20200101_SCL_20m.tif", "scl"),
        ("2020-01-01_s2.tif", "2020-01-01_cloudprob.tif", "cloudprob"),
        ("S2_20200101.tif", "S2_20200101_CLP.tif", "cloudprob"),
        ("MOD09GA.061_sur_refl_b01_1_doy2020182_aid0001.tif", "MOD09GA.061_state_1km_1_doy2020182_aid0001.tif", "modis_state"),
        ("MOD09A1.061_sur_refl_b01_doy2020185_aid0001.tif", "MOD09A1.061_sur_refl_state_500m_doy2020185_aid0001.tif", "modis_state"),
        ("l8_2020_dn.tif", "l8_2020_bqa.tif", "bqa"),
        ("S2_20200101.tif", "mask_S2_20200101.tif", "auto"),
        ("S2_20200101.tif", "masks/S2_20200101_cloudprob.tif", "cloudprob"),
        ("S2_20200101_image.tif", "S2_20200101_mask.tif", "auto"),
        ("HLS.S30.T32TQM.2020182T101559.v2.0.B04.tif", "HLS.S30.T32TQM.2020182T101559.v2.0.Fmask.tif", "hls_fmask"),
        ("20200101_1034_3B_AnalyticMS_SR.tif", "20200101_1034_3B_udm2.tif", "udm2"),
        (f"{makers.LANDSAT_ID}_SR_B4.TIF", f"{makers.LANDSAT_ID}_QA_PIXEL.TIF", "qa_pixel"),
        ("T32TQM_20200101T101010_B04_10m.tif", "T32TQM_20200101T101010_SCL_20m.tif", "scl"),
    ],
)  # fmt: skip
def test_masks_are_found_by_name(tmp_path, image, mask, kind):
    path = tif(tmp_path / image)
    tif(tmp_path / mask)
    tif(tmp_path / mask.replace("2020", "2019"))  # another date's
    assert masks_beside((path,), opened(path)) == (Mask(str(tmp_path / mask), kind),)


def test_a_known_kind_is_preferred_and_other_names_are_ignored(tmp_path):
    path = tif(tmp_path / "a_20200101.tif")
    for name in ("a_20200101_mask.tif", "a_20200101_scl.tif", "b_20200101_scl.tif", "a_20200111_scl.tif"):
        tif(tmp_path / name)
    assert [m.path for m in masks_beside((path,), opened(path))] == [str(tmp_path / "a_20200101_scl.tif")]


def test_the_target_too_finds_masks_of_known_kinds(tmp_path):
    path = tif(tmp_path / "a_20200101.tif")
    tif(tmp_path / "a_20200101_mask.tif")
    assert opened(path).masks == ()  # nobody said what it marks
    beside = tif(tmp_path / "a_20200101_qa_pixel.tif")
    assert opened(path).masks == (Mask(beside, "qa_pixel"),)


def test_a_mask_of_another_image_of_the_day_is_not_taken(tmp_path):
    path = tif(tmp_path / "a_20200101.tif")
    tif(tmp_path / "a_20200101_north_scl.tif")
    tif(tmp_path / "20200102_scl.tif")
    assert masks_beside((path,), opened(path)) == ()


def test_masks_of_dates_made_of_the_same_numbers_are_not_taken(tmp_path):
    path = tif(tmp_path / "2020-01-05_s2.tif")
    for day in ("2020-01-01", "2020-05-01", "2020-05-05", "2020-01-05"):
        tif(tmp_path / f"{day}_cloudprob.tif")
    assert [m.path for m in masks_beside((path,), opened(path))] == [
        str(tmp_path / "2020-01-05_cloudprob.tif")
    ]
    other = tif(tmp_path / "2020-05-11_s2.tif")
    assert masks_beside((other,), opened(other)) == ()
    compact = tif(tmp_path / "20200511_cloudprob.tif")  # one word, as the raster's date is
    assert [m.path for m in masks_beside((other,), opened(other))] == [compact]


def test_a_folder_is_listed_once_for_all_its_dates(tmp_path, monkeypatch):
    target = tif(tmp_path / "t_20200101.tif", 3)
    place = tmp_path / "dates"
    for day in range(1, 9):
        tif(place / f"2020-02-0{day}_s2.tif", 3)
        tif(place / ("masks" if day % 2 else "") / f"2020-02-0{day}_scl.tif")
    listings, listed = [], Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: listings.append(folder) or listed(folder))
    inputs = open_inputs(FillRequest((target,), "o.tif", references_from=str(place)), Watch())
    masks = [Path(mask.path).stem for reference in inputs.references for mask in reference.masks]
    assert masks == [f"2020-02-0{day}_scl" for day in range(1, 9)]
    # For its dates and for its masks; a folder inside also to tell whether it is a product.
    assert [listings.count(folder) for folder in (tmp_path, place, place / "masks")] == [1, 2, 2]


def test_folders_that_may_not_be_listed_hold_nothing(tmp_path, monkeypatch):
    path = tif(tmp_path / "closed" / "a_20200101.tif")
    tif(tmp_path / "closed" / "a_20200101_scl.tif")
    tif(tmp_path / "b_20200111.tif")
    listed = Path.iterdir

    def deny(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", deny)
    target = opened(path)
    assert target.masks == ()
    assert [r.path for r in find_references(str(tmp_path), target, Watch())] == [
        str(tmp_path / "b_20200111.tif")
    ]


def test_dates_of_an_index_are_found_for_an_index_alone(tmp_path):
    target = opened(tif(tmp_path / "ndvi_20200101.tif"))
    names = ["ndvi_20200111.tif", "ndvi_20200121.tif"]
    for name in [*names, "ndvi_20200111_SCL.tif", "dem.tif"]:
        tif(tmp_path / name)
    found = find_references(str(tmp_path), target, Watch())
    assert [Path(reference.path).name for reference in found] == names


@pytest.mark.parametrize("said", ["nd", "Band 1", "2020-01-01"])
def test_dates_of_an_index_are_found_though_its_band_is_called_otherwise(tmp_path, said):
    target = opened(tif(tmp_path / "NDVI_20200101.tif", descriptions=(said,)))
    tif(tmp_path / "NDVI_20200111.tif", descriptions=(said,))
    assert target.bands[0].role == "index"
    found = find_references(str(tmp_path), target, Watch())
    assert [Path(reference.path).name for reference in found] == ["NDVI_20200111.tif"]


@pytest.mark.parametrize(
    ("layer", "others"),
    [
        ("MOD11A1.061_LST_Day_1km", ["QC_Day", "Emis_31", "Clear_day_cov", "Day_view_angl", "Day_view_time"]),
        ("MOD13Q1.061__250m_16_days_NDVI", ["VI_Quality", "pixel_reliability", "composite_day_of_the_year",
                                            "sun_zenith_angle"]),
        ("MCD15A3H.061_Lai_500m", ["FparLai_QC", "FparExtra_QC", "LaiStdDev_500m"]),
        ("VNP46A2.001_DNB_BRDF-Corrected_NTL", ["Mandatory_Quality_Flag", "QF_Cloud_Mask"]),
        ("MOD09GA.061_sur_refl_b01_1", ["QC_500m_1", "state_1km_1"]),
    ],
)  # fmt: skip
def test_what_appeears_lays_beside_a_layer_is_no_date_of_it(tmp_path, layer, others):
    for day in ("2020177", "2020193"):
        for name in [layer, *(f"{layer.split('_')[0]}_{other}" for other in others)]:
            tif(tmp_path / f"{name}_doy{day}_aid0001.tif")
    target = opened(str(tmp_path / f"{layer}_doy2020177_aid0001.tif"))
    found = find_references(str(tmp_path), target, Watch())
    assert [Path(r.path).name for r in found] == [f"{layer}_doy2020193_aid0001.tif"]


def radar(path):
    """Two bands in dB that are named by their polarisations."""
    return tif(path, 2, descriptions=("VV", "VH"))


def test_dates_of_radar_are_found_for_radar_alone(tmp_path):
    target = opened(radar(tmp_path / "gaps_20200101" / "scene_20200101.tif"))
    for day in ("20200111", "20200121"):
        radar(tmp_path / f"S1_{day}.tif")
        tif(tmp_path / f"S1_{day}_VV.tif")
    tif(tmp_path / "dem.tif")
    found = find_references(str(tmp_path), target, Watch())
    assert [Path(r.path).name for r in found] == [
        "S1_20200111.tif", "S1_20200111_VV.tif", "S1_20200121.tif", "S1_20200121_VV.tif",
    ]  # fmt: skip
    lone = opened(tif(tmp_path / "lone" / "S1_20200101_VV.tif"))
    tif(tmp_path / "lone" / "S1_20200111_VV.tif")
    tif(tmp_path / "lone" / "S1_20200111_VH.tif")
    found = find_references(str(tmp_path / "lone"), lone, Watch())
    assert [Path(r.path).name for r in found] == ["S1_20200111_VV.tif"]


def test_folder_of_references(tmp_path):
    target = tif(tmp_path / "S2_20200101.tif", 3)
    for day in ("20200111", "20191222"):
        tif(tmp_path / f"S2_{day}.tif", 3)
        tif(tmp_path / f"S2_{day}_SCL.tif")
    for band in ("B02", "B03"):
        tif(tmp_path / f"S2_20200202_{band}.tif")
    for other in ("S2_20200101_SCL.tif", "dem.tif", "S1_20200101_VV.tif", "ndvi_20200101.tif", "x_std.tif"):
        tif(tmp_path / other)
    (tmp_path / "notes.txt").write_text("x")
    makers.make_landsat_c2(tmp_path)
    found = find_references(str(tmp_path), opened(target), Watch())
    names = [[Path(p).name for p in split_paths(r.path)] for r in found]
    assert names == [
        ["S2_20191222.tif"],
        ["S2_20200111.tif"],
        ["S2_20200202_B02.tif", "S2_20200202_B03.tif"],
        [makers.LANDSAT_ID],
    ]
    request = FillRequest(target=(target,), output="o.tif")
    watch = Watch()
    references = open_references(request, opened(target), watch, found)
    (told,) = [notice for notice in watch.notices if notice.code == "reference.unmasked"]
    assert "S2_20200202_B02" in told.arguments["path"]
    assert [[m.kind for m in r.masks] for r in references] == [["scl"], ["scl"], ["qa_pixel"]]
    assert [len(r.bands) for r in references] == [3, 3, 7]


def test_dates_of_a_folder_without_masks_may_be_said_to_be_clear(tmp_path):
    target = tif(tmp_path / "ndvi_20200101.tif")
    named = tif(tmp_path / "more" / "ndvi_20200601.tif")
    for day in ("20200111", "20200121"):
        tif(tmp_path / f"ndvi_{day}.tif")
    tif(tmp_path / "ndvi_20200121_SCL.tif")
    asked = FillRequest((target,), "o.tif", references_from=str(tmp_path), references_clear=True)
    assert [[mask.kind for mask in r.masks] for r in open_inputs(asked, Watch()).references] == [[], ["scl"]]
    with pytest.raises(TerramendError, match="no mask"):  # what is named by itself says so by itself
        open_inputs(replace(asked, references=(Reference(named),)), Watch())


def test_dates_of_a_folder_without_masks_are_left_out_unless_none_remains(tmp_path):
    target = tif(tmp_path / "ndvi_20200101.tif")
    unmasked = tif(tmp_path / "ndvi_20200111.tif")
    asked, watch = FillRequest((target,), "o.tif", references_from=str(tmp_path)), Watch()
    with pytest.raises(
        TerramendError, match="missing, as of ndvi_20200111.tif.*--references-clear"
    ) as caught:
        open_inputs(asked, watch)
    assert caught.value.arguments["path"] == str(tmp_path) and "--reference-gaps" not in str(caught.value)
    tif(tmp_path / "ndvi_20200121.tif")
    tif(tmp_path / "ndvi_20200121_SCL.tif")
    inputs = open_inputs(asked, watch)
    assert [Path(r.path).name for r in inputs.references] == ["ndvi_20200121.tif"]
    (told,) = inputs.left_out
    assert (told.code, told.arguments) == ("reference.unmasked", {"path": unmasked}) and told in watch.notices


def test_how_far_the_look_at_a_folder_is_can_be_followed_and_stopped(tmp_path):
    target = tif(tmp_path / "t_20200101.tif")
    for day in range(1, 4):
        tif(tmp_path / "dates" / f"s_2020020{day}.tif")
    asked = FillRequest((target,), "o.tif", references_from=str(tmp_path / "dates"), references_clear=True)
    seen, last = [], None

    def tell(progress):
        seen.append((progress.stage, progress.done, progress.total))
        if seen[-1] == last:
            watch.cancel()

    watch = Watch(on_progress=tell)
    open_inputs(asked, watch)
    assert seen == [(stage, done, 3) for stage in ("list", "dates") for done in range(4)]
    for last in (("list", 1, 3), ("dates", 1, 3)):
        seen.clear()
        watch = Watch(on_progress=tell)
        with pytest.raises(TerramendError, match="Cancelled"):
            open_inputs(asked, watch)
        assert seen[-1] == last


def test_a_date_of_a_folder_that_is_no_image_or_of_no_place_is_left_out(tmp_path):
    target = tif(tmp_path / "t_20200101.tif")
    tif(tmp_path / "s_20200121.tif")
    tif(tmp_path / "s_20200121_SCL.tif")
    classes = tif(tmp_path / "s_20200131.tif", descriptions=("SCL",))
    adrift = makers.write(tmp_path / "s_20200210.tif", np.ones((1, 20, 20), np.uint16), crs=None)
    inputs = open_inputs(FillRequest((target,), "o.tif", references_from=str(tmp_path)), Watch())
    assert [Path(r.path).name for r in inputs.references] == ["s_20200121.tif"]
    assert [notice.arguments["path"] for notice in inputs.left_out] == [classes, adrift]


def test_folders_of_hls_and_maja_are_references(tmp_path):
    target = tif(tmp_path / "t.tif")
    hls, maja = "HLS.S30.T32TPT.2021155T102559.v2.0", "SENTINEL2B_20200601-105855-123_L2A_T31TCJ_C_V2-2"
    tif(tmp_path / hls / f"{hls}.B02.tif")
    tif(tmp_path / hls / f"{hls}.Fmask.tif")
    tif(tmp_path / maja / f"{maja}_FRE_B2.tif")
    tif(tmp_path / maja / "MASKS" / f"{maja}_CLM_R1.tif")
    tif(tmp_path / "drafts" / "2021-05-05.tif")
    found = find_references(str(tmp_path), opened(target), Watch())
    assert [r.path for r in found] == [str(tmp_path / maja), str(tmp_path / hls)]
    request = FillRequest(target=(target,), output="o.tif")
    references = open_references(request, opened(target), Watch(), found)
    assert [[m.kind for m in r.masks] for r in references] == [["maja"], ["hls_fmask"]]


def test_folders_of_maja_by_another_name_are_known_by_their_metadata(tmp_path):
    for day in ("20200601", "20200611"):
        stem = f"SENTINEL2B_{day}-105855-123_L2A_T31TCJ_C_V2-2"
        for band in ("FRE_B2", "FRE_B3"):
            tif(tmp_path / day / f"{stem}_{band}.tif")
        makers.write(tmp_path / day / "MASKS" / f"{stem}_CLM_R1.tif", np.zeros((64, 64), np.uint8))
        (tmp_path / day / f"{stem}_MTD_ALL.xml").write_text("<Muscate_Metadata_Document/>")
    target = opened(str(tmp_path / day))
    found = find_references(str(tmp_path), target, Watch())
    (reference,) = open_references(FillRequest((target.name,), "o.tif"), target, Watch(), found)
    assert "20200601" in reference.name and [mask.kind for mask in reference.masks] == ["maja"]


def test_the_targets_own_product_is_no_reference(tmp_path):
    makers.make_safe(tmp_path, side=60)
    early = makers.make_safe(tmp_path, baseline="03.00", side=60)
    target = open_product([str(early)], watch=Watch())[0]
    (reference,) = find_references(str(tmp_path), target, Watch())
    assert "N0400" in reference.path
    shutil.make_archive(str(tmp_path / early.name), "zip", tmp_path, early.name)
    shutil.rmtree(early)
    target = open_product([str(tmp_path / f"{early.name}.zip")], watch=Watch())[0]
    (reference,) = find_references(str(tmp_path), target, Watch())
    assert "N0400" in reference.path


def test_what_the_target_draws_on_is_no_reference(tmp_path):
    for day in ("20200601", "20200611"):
        tif(tmp_path / f"S2_{day}.tif")
    target = tmp_path / "aligned.vrt"
    rasterio.shutil.copy(tmp_path / "S2_20200601.tif", target, driver="VRT")
    found = find_references(str(tmp_path), opened(str(target)), Watch())
    assert [Path(reference.path).name for reference in found] == ["S2_20200611.tif"]


def test_the_target_named_as_its_own_date_is_left_out(tmp_path):
    target, other = tif(tmp_path / "t_20200101.tif"), tif(tmp_path / "o_20200111.tif")
    (tmp_path / "link.tif").symlink_to(target)
    rasterio.shutil.copy(target, tmp_path / "t.vrt", driver="VRT")
    clear = (Mask("", "none"),)
    for itself in (target, str(tmp_path / "link.tif")):
        for asked in (target, str(tmp_path / "t.vrt")):
            watch = Watch()
            references = (Reference(itself, clear), Reference(other, clear))
            inputs = open_inputs(FillRequest((asked,), "o.tif", references=references), watch)
            assert [reference.path for reference in inputs.references] == [other]
            assert [notice.code for notice in watch.notices if "itself" in notice.code] == [
                "reference.itself"
            ]


def test_a_date_that_is_named_twice_counts_once(tmp_path):
    """Named and found in the folder too; what was named by itself, with its mask, is what counts."""
    target, other = tif(tmp_path / "t_20200101.tif"), tif(tmp_path / "o_20200111.tif")
    (tmp_path / "same.tif").symlink_to(other)
    same = str(tmp_path / "same.tif")
    named = (Reference(other, (Mask("", "none"),)), Reference(same, (Mask(other),)))
    asked = FillRequest((target,), "o.tif", references=named, references_from=str(tmp_path))
    (reference,) = open_inputs(asked, watch := Watch()).references
    assert reference.path == other and reference.named and reference.masks == ()
    assert "reference.twice" in [notice.code for notice in watch.notices]
    with pytest.raises(TerramendError, match="o_20200111.tif stands twice"):
        open_inputs(replace(asked, references=(Reference(f"{other};{same}"),)), Watch())


def test_the_folder_of_all_dates_is_not_one_date_nor_left_out_as_the_target(tmp_path):
    target = tif(tmp_path / "t_20200101.tif")
    asked = FillRequest((target,), "o.tif", references=(Reference(str(tmp_path), (Mask("", "none"),)),))
    assert not open_inputs(asked, watch := Watch()).references  # the target's own folder
    assert "reference.itself" in [notice.code for notice in watch.notices]
    tif(tmp_path / "o_20200111.tif")
    with pytest.raises(TerramendError, match="from 2020-01-01 to 2020-01-11: .* by --references"):
        open_inputs(asked, Watch())


def test_an_earlier_fill_as_a_date_is_said_to_be_one(tmp_path):
    target, other = tif(tmp_path / "t_20200101.tif"), tif(tmp_path / "o_20200111.tif")
    with rasterio.open(other, "r+") as file:
        file.update_tags(TERRAMEND_VERSION="0.1.0")
    watch = Watch()
    asked = FillRequest((target,), "o.tif", references=(Reference(other, (Mask("", "none"),)),))
    assert len(open_inputs(asked, watch).references) == 1
    assert "reference.filled" in [notice.code for notice in watch.notices]


def broken(asked: FillRequest) -> str:
    """What is said of the one date that is left out, where another is not."""
    watch = Watch()
    assert [Path(r.path).name for r in open_inputs(asked, watch).references] == ["s_20200121.tif"]
    (told,) = [notice for notice in watch.notices if notice.code == "reference.broken"]
    return told.sentence


def test_a_damaged_file_among_the_dates_of_a_folder_is_left_out(tmp_path):
    target, damaged = tif(tmp_path / "t_20200101.tif"), tmp_path / "s_20200111.tif"
    damaged.write_bytes(b"II*\0 cut off")
    tif(tmp_path / "s_20200121.tif")
    asked = FillRequest((target,), "o.tif", references_from=str(tmp_path), references_clear=True)
    told = broken(asked)
    assert f"{damaged} is left out of the other dates. {damaged} cannot be read" in told
    named = replace(asked, references_from=None, references=(Reference(str(damaged), (Mask("", "none"),)),))
    with pytest.raises(TerramendError, match="cannot be read"):
        open_inputs(named, Watch())


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("part", ["pixels", "overviews"])
def test_a_date_that_is_cut_off_behind_its_header_is_left_out_of_a_folder(tmp_path, dtype, part):
    target, cut = tif(tmp_path / "t_20200101.tif"), tmp_path / "s_20200111.tif"
    makers.write(cut, np.random.default_rng(0).uniform(1, 9000, (2, 200, 200)).astype(dtype), nodata=0)
    kept = cut.stat().st_size // 2
    if part == "overviews":  # behind the pixels
        kept *= 2
        with rasterio.open(cut, "r+") as file:
            file.build_overviews([2, 4])
    cut.write_bytes(cut.read_bytes()[: kept + 4000])
    tif(tmp_path / "s_20200121.tif")
    asked = FillRequest((target,), "o.tif", references_from=str(tmp_path), references_clear=True)
    told = broken(asked)
    assert f"{cut} is left out of the other dates. A raster could not be read to its end" in told


def test_json_list(tmp_path):
    target = tif(tmp_path / "t.tif")
    tif(tmp_path / "a.tif")
    place = tmp_path / "list.json"
    items = [
        "a.tif",
        {"path": "a.tif;b.tif", "date": "2020-01-01", "masks": [{"path": "m.tif", "kind": "scl"}]},
        {"path": str(tmp_path / "c.tif"), "masks": [{"kind": "none"}]},
    ]
    place.write_text(json.dumps({"references": items}))
    first, second, third = find_references(str(place), opened(target), Watch())
    assert first == Reference(str(tmp_path / "a.tif"))
    assert second == Reference(
        f"{tmp_path / 'a.tif'};{tmp_path / 'b.tif'}", (Mask(str(tmp_path / "m.tif"), "scl"),), "2020-01-01"
    )
    assert third.masks == (Mask("", "none"),)


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "3", "[3]", '[{"date": "2020-01-01"}]', '[{"path": "a", "date": "yesterday"}]',
     '[{"path": "a", "masks": [{"path": "m", "kind": "fog"}]}]', '[{"path": "a", "masks": ["m"]}]',
     '[{"path": "a", "mask": "m.tif"}]', '[{"path": "a", "masks": [{"path": "m", "sort": "scl"}]}]', '[{"path": ""}]',
     '[{"path": "a", "masks": [{"kind": "scl"}]}]', '[{"path": "a", "masks": "m.tif"}]', '["a\\u0000.tif"]',
     '[{"path": "a", "masks": [{"path": "\\ud800"}]}]', "[" * 100_000],
)  # fmt: skip
def test_wrong_json_gets_a_sentence(tmp_path, text):
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(TerramendError, match="no list of references"):
        find_references(str(tmp_path / "list.json"), opened(tif(tmp_path / "t.tif")), Watch())


def test_nothing_there(tmp_path):
    target = opened(tif(tmp_path / "t.tif"))
    for source, code in ((tmp_path, "references.none"), (tmp_path / "x", "references.missing")):
        with pytest.raises(TerramendError) as caught:
            find_references(str(source), target, Watch())
        assert caught.value.code == code


def test_a_reference_without_mask_is_never_taken_as_clear(tmp_path):
    target = opened(tif(tmp_path / "t.tif"))
    path = tif(tmp_path / "r_20200101.tif", nodata=0)  # nodata alone is not enough
    with pytest.raises(TerramendError, match="reference-gaps-kind none"):
        open_references(FillRequest(("t",), "o", references=(Reference(path),)), target, Watch())
    asked = Reference(path, (Mask("", "none"),))
    (reference,) = open_references(FillRequest(("t",), "o", references=(asked,)), target, Watch())
    assert reference.masks == ()


def test_references_apart_and_without_crs(tmp_path):
    target = opened(tif(tmp_path / "t_20200101.tif"))
    clear = (Mask("", "none"),)

    def reference(name, **options):
        return Reference(tif(tmp_path / name, **options), clear, "2020-02-01")

    apart = reference("far.tif", left=makers.LEFT + 1e6)
    with pytest.raises(TerramendError, match="does not overlap"):
        open_references(FillRequest(("t",), "o", references=(apart,)), target, Watch())
    watch = Watch()
    assert open_references(FillRequest(("t",), "o"), target, watch, (apart,)) == ()
    assert watch.notices[-1].code == "reference.apart"
    watch = Watch()
    same = reference("same.tif", crs=None)
    (paired,) = open_references(FillRequest(("t",), "o", references=(same,)), target, watch)
    assert paired.partner.grid == target.grid
    assert watch.notices[-1].code == "pair.pixels"
    small = makers.write(tmp_path / "small.tif", np.ones((3, 20, 20), np.uint16), crs=None)
    with pytest.raises(TerramendError, match="20 x 20"):
        open_references(FillRequest(("t",), "o", references=(Reference(small, clear),)), target, Watch())
    mask_only = Reference(tif(tmp_path / "x_scl.tif"), clear)
    with pytest.raises(TerramendError, match="masks or classes only"):
        open_references(FillRequest(("t",), "o", references=(mask_only,)), target, Watch())


def test_what_the_target_has_said_is_not_repeated_for_each_date(tmp_path):
    watch = Watch()
    (target,) = open_product([tif(tmp_path / "t_20200101.tif", 2)], watch=watch)
    assert [notice.code for notice in watch.notices] == ["radiometry.guess"]
    clear = (Mask("", "none"),)
    dates = tuple(Reference(tif(tmp_path / f"r_2020020{i}.tif", 2), clear) for i in range(1, 5))
    open_references(FillRequest(("t",), "o", references=dates), target, watch)
    assert len(watch.notices) == 1
    floats = makers.write(tmp_path / "f_20200301.tif", np.full((2, 64, 64), 40, np.float32))
    open_references(FillRequest(("t",), "o", references=(Reference(floats, clear),)), target, watch)
    said = watch.notices[-1].sentence  # --radiometry is the target's
    assert "times 0.01" in said and "Write scale and offset into the file" in said


def test_levels_and_dates_are_noticed(tmp_path):
    late = open_product([str(makers.make_safe(tmp_path / "a", side=60))], watch=Watch())[0]
    early = Reference(str(makers.make_safe(tmp_path / "b", "1C", side=60)))
    undated = Reference(makers.write(tmp_path / "u.tif", np.ones((60, 60), np.uint16)), (Mask("", "none"),))
    watch = Watch()
    open_references(FillRequest(("t",), "o", references=(early, undated)), late, watch)
    codes = [notice.code for notice in watch.notices]
    assert "reference.level" in codes and "reference.date" in codes


def test_the_truth_of_the_sample_is_no_other_date(sample):
    place = sample / "two_dates"
    found = find_references(str(place), opened(str(place / "boadella_2020-01-13.tif")), Watch())
    assert [reference.path for reference in found] == [str(place / "boadella_2020-01-28.tif")]
