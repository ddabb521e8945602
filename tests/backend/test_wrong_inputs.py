"""Wrong inputs at the command line: the status, the sentence, and nothing written.

The table grows with every error that a user can meet.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint
from terramend.backend import cli, device
from terramend.backend.errors import ERRORS

PLACE = rasterio.Affine(10.0, 0.0, 300000.0, 0.0, -10.0, 5000000.0)
FAR = rasterio.Affine(10.0, 0.0, 700000.0, 0.0, -10.0, 1000000.0)

WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}.png</ServerUrl></Service>
<DataWindow><UpperLeftX>-20037508</UpperLeftX><UpperLeftY>20037508</UpperLeftY><LowerRightX>20037508</LowerRightX>
<LowerRightY>-20037508</LowerRightY><TileLevel>5</TileLevel><TileCountX>1</TileCountX><TileCountY>1</TileCountY>
<YOrigin>top</YOrigin></DataWindow><Projection>EPSG:3857</Projection><BandsCount>3</BandsCount></GDAL_WMS>"""

SUNLESS = "LC08_L1TP_192030_20180726_20180731_01_T1.tif"
"""Of a product whose values want the sun, which is the target's that --sun tells."""

POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [0, 0]]]}


def save(path: str, samples: np.ndarray, **more) -> None:
    samples = samples[None] if samples.ndim == 2 else samples
    count, height, width = samples.shape
    profile = {
        "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": samples.dtype,
        "crs": "EPSG:32633", "transform": PLACE, **more,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(samples)


TILE_WIDTH, TILE_HEIGHT = 322, 323


def in_the_header(path: str, tag: int, before: int, after: int) -> None:
    """Let a little-endian TIFF claim another value of a tag, as a damaged one may."""
    content = bytearray(Path(path).read_bytes())
    first = int.from_bytes(content[4:8], "little")
    for entry in range(first + 2, first + 2 + 12 * int.from_bytes(content[first : first + 2], "little"), 12):
        if int.from_bytes(content[entry : entry + 2], "little") == tag:
            assert int.from_bytes(content[entry + 8 : entry + 10], "little") == before
            content[entry + 2 : entry + 4] = (4).to_bytes(2, "little")  # of 32 bits
            content[entry + 8 : entry + 12] = after.to_bytes(4, "little")
    Path(path).write_bytes(content)


pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with one good scene and every wrong thing beside it; the current one."""
    folder = tmp_path_factory.mktemp("wrong")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rng = np.random.default_rng(0)
        image = rng.integers(300, 3000, (4, 40, 50)).astype("uint16")
        mask = np.zeros((40, 50), np.uint8)
        mask[10:20, 10:20] = 1
        save("t.tif", image)
        save("there.tif", image)
        save("m.tif", mask)
        save("ref.tif", image)
        save(SUNLESS, image)
        save("far.tif", image, transform=FAR)
        save("far_mask.tif", mask, transform=FAR)
        save("codes.tif", (mask * 4 + 3).astype("uint8"))
        save("bare.tif", np.zeros((7, 9), "uint8"), crs=None, transform=rasterio.Affine.identity())
        save("bare_image.tif", image[:, :30], crs=None, transform=rasterio.Affine.identity())
        save("slc.tif", image.astype("complex64"), dtype="complex_int16")
        for name, pixel in (("flat.tif", 0.0), ("endless.tif", np.inf)):
            save(name, mask, transform=rasterio.Affine(pixel, 0, 300000, 0, -pixel, 5000000))
        save("wide_block.tif", image, tiled=True, blockxsize=16, blockysize=16)
        in_the_header("wide_block.tif", TILE_WIDTH, 16, 1 << 24)
        in_the_header("wide_block.tif", TILE_HEIGHT, 16, 1 << 8)
        save("twelve.tif", np.ones((12, 40, 50), "uint8"))
        corners = [
            GroundControlPoint(0, 0, 15, 45),
            GroundControlPoint(0, 50, 16, 45),
            GroundControlPoint(40, 0, 15, 44),
        ]
        with rasterio.open(
            "gcps.tif", "w", driver="GTiff", count=1, height=40, width=50, dtype="uint8"
        ) as file:
            file.write(mask, 1)
            file.gcps = (corners, rasterio.crs.CRS.from_epsg(4326))
        Path("cut.tif").write_bytes(Path("t.tif").read_bytes()[:2000])
        for inner, outer in (("t.tif", "once.vrt"), ("once.vrt", "twice.vrt")):
            rasterio.shutil.copy(inner, outer, driver="VRT")
        Path("text.txt").write_text("no raster\n")
        Path("text.tif").write_text("no raster\n")
        Path("wms.xml").write_text(WMS)
        Path("empty").mkdir()
        Path("unmasked").mkdir()
        for day in (1, 2):
            save(f"unmasked/2024010{day}.tif", image)
        Path("broken.zip").write_bytes(b"PK\x03\x04 no archive")
        Path("S2A_MSIL2A_20240101T000000_N0510_R001_T33UUP_20240101T000000.SAFE").mkdir()
        Path("list.json").write_text('[{"path": 5}]')
        Path("nojson.json").write_text("{")
        Path("nameless.json").write_text('[""]')
        Path("point.geojson").write_text(
            json.dumps(
                {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [0, 0]}}
            )
        )
        Path("africa.geojson").write_text(
            json.dumps({"type": "Feature", "properties": {}, "geometry": POLYGON})
        )
        Path("settings.toml").write_text("jobs = 'many'\n")
        Path("table.csv").write_text("target,colour\nt.tif,red\n")
        yield folder


CHOSEN = "fill t.tif -o o.tif --gaps m.tif --gaps-kind nonzero "
FILL = "fill t.tif -o o.tif --radiometry dn --model nearest "
MASKED = FILL + "--gaps m.tif --gaps-kind nonzero "

# words, code, what the sentence must name
WRONG = [
    # the command
    ("paint t.tif", "command.absent", ["paint", "fill"]),
    ("fill", "command.usage", ["TARGET", "--output", "fill --help"]),
    ("fill t.tif", "command.usage", ["--output"]),
    ("fill --std t.tif -o o.tif", "command.usage", ["TARGET"]),
    (FILL + "--clouds m.tif", "command.usage", ["--clouds"]),
    (FILL + "--gap m.tif", "command.usage", ["--gap"]),
    (FILL + "--gaps-kind scl", "command.order", ["--gaps-kind", "--gaps"]),
    (FILL + "--reference-date 2024-01-01", "command.order", ["--reference-date", "--reference"]),
    # the target
    ("fill none.tif -o o.tif", "raster.missing", ["none.tif"]),
    ("fill '' -o o.tif", "command.option", ["TARGET"]),
    ("fill text.txt -o o.tif", "raster.unreadable", ["text.txt"]),
    ("fill text.tif -o o.tif", "raster.unreadable", ["text.tif"]),
    ("fill wms.xml -o o.tif", "raster.service", ["wms.xml"]),
    ("fill gcps.tif -o o.tif", "raster.gcps", ["gcps.tif", "Warp"]),
    ("fill flat.tif -o o.tif", "raster.placed", ["flat.tif"]),
    ("fill endless.tif -o o.tif", "raster.placed", ["endless.tif"]),
    ("fill wide_block.tif -o o.tif", "raster.block", ["wide_block.tif", "16777216 x 256"]),
    ("fill broken.zip -o o.tif", None, ["broken.zip"]),
    ("fill empty -o o.tif", "product.empty", ["empty"]),
    ("fill S2A_MSIL2A_20240101T000000_N0510_R001_T33UUP_20240101T000000.SAFE -o o.tif", None, [".SAFE"]),
    ("fill t.tif far.tif -o o.tif", "product.apart", ["far.tif"]),
    ("fill t.tif ./t.tif -o o.tif", "product.twice", ["t.tif", "once"]),
    (MASKED + "--target-crs EPSG:nothing", "command.option", ["--target-crs", "EPSG:nothing"]),
    (MASKED + "--target-crs 123456789", "command.option", ["--target-crs"]),
    (MASKED + "--target-nodata much", "command.usage", ["--target-nodata", "much"]),
    (MASKED + "--target-nodata nan", "command.option", ["--target-nodata"]),
    (CHOSEN + "--radiometry toa", "command.option", ["--radiometry", "toa", "landsat-c2-toa"]),
    # what is a gap
    (FILL + "--gaps none.tif", "raster.missing", ["none.tif"]),
    (FILL + "--gaps text.tif", None, ["text.tif"]),
    (FILL + "--gaps codes.tif", "mask.ambiguous", ["codes.tif", "--gaps-kind"]),
    (FILL + "--gaps far_mask.tif --gaps-kind nonzero", "mask.apart", ["far_mask.tif"]),
    (FILL + "--gaps flat.tif --gaps-kind nonzero", "raster.placed", ["flat.tif"]),
    (FILL + "--gaps slc.tif --gaps-kind scl", "raster.complex", ["slc.tif"]),
    (FILL + "--gaps bare.tif --gaps-kind nonzero", "mask.size", ["bare.tif", "9 x 7"]),
    (FILL + "--gaps m.tif --gaps-kind fog", "command.option", ["--gaps", "fog", "qa_pixel"]),
    (FILL + "--gaps m.tif --gaps-kind value=", "mask.value", ["value="]),
    (FILL + "--gaps m.tif --gaps-kind value=one", "mask.value", ["value=one"]),
    (FILL + "--gaps none.gpkg --gaps-kind polygons", None, ["none.gpkg"]),
    (FILL + "--gaps text.txt --gaps-kind polygons", "polygons.format", ["text.txt"]),
    (FILL + "--gaps point.geojson --gaps-kind polygons", "polygons.none", ["point.geojson"]),
    (MASKED + "--grow 3km", "command.option", ["--grow", "3km", "3px"]),
    (MASKED + "--grow 99999px", "grow.far", ["99999px"]),
    (MASKED + "--classes fog", "command.option", ["--classes", "fog"]),
    (MASKED + "--cloud-threshold 0.4", "command.option", ["--cloud-threshold", "40, and not 0.4"]),
    (MASKED + "--cloud-threshold 140", "command.option", ["--cloud-threshold", "100"]),
    (MASKED + "--cloud-threshold half", "command.usage", ["--cloud-threshold", "half"]),
    (MASKED + "--extent 1,2,3", "extent.text", ["1,2,3"]),
    (MASKED + "--extent -10,-10,-5,-5", "extent.apart", ["-10,-10,-5,-5"]),
    (MASKED + "--extent africa.geojson", "extent.apart", ["africa.geojson"]),
    (MASKED + "--extent none.gpkg", None, ["none.gpkg"]),
    # what helps
    (MASKED + "--reference none.tif --reference-gaps-kind none", "raster.missing", ["none.tif"]),
    (MASKED + "--reference ref.tif", "reference.mask", ["ref.tif", "--reference-gaps"]),
    (
        MASKED + "--reference ref.tif --reference-gaps codes.tif",
        "mask.ambiguous",
        ["codes.tif", "--reference-gaps-kind"],
    ),
    (MASKED + f"--reference {SUNLESS} --reference-gaps-kind none", "product.sun", [SUNLESS, "SUN_ELEVATION"]),
    (MASKED + "--reference far.tif --reference-gaps-kind none", "reference.apart", ["far.tif"]),
    (MASKED + "--reference ref.tif --reference-date 2024-13-01", "command.option", ["--reference", "2024-13-01"]),
    (MASKED + "--reference bare_image.tif --reference-gaps-kind none", "pair.crs", ["bare_image.tif"]),
    (MASKED + "--references nowhere", "references.missing", ["nowhere"]),
    (MASKED + "--references empty", "references.none", ["empty"]),
    (MASKED + "--references unmasked", "references.clouds", ["unmasked", "20240101.tif", "--references-clear"]),
    (MASKED + "--references list.json", "references.json", ["list.json"]),
    (MASKED + "--references nojson.json", "references.json", ["nojson.json", '[{"path": "b_scl.tif"']),
    (MASKED + "--references nameless.json", "references.json", ["nameless.json", "path"]),
    (MASKED + "--grow " + "9" * 400 + "px", "command.option", ["--grow", "3px"]),
    (MASKED + "--reference ;", "command.option", ["--reference", "path"]),
    (MASKED + "--reference ' ;\t\n'", "command.option", ["--reference", "path"]),
    (MASKED + "--dem caf\udce9.tif", "command.option", ["--dem", "UTF-8"]),
    (MASKED + "--dem t.tif --dem there.tif", "command.option", ["--dem", "gdalbuildvrt"]),
    (MASKED + "--sar t.tif --sar there.tif", "command.option", ["--sar", "gdalbuildvrt"]),
    (MASKED + "--references unmasked --references empty", "command.option", ["--references", "JSON list"]),
    (MASKED + "-o p.tif", "command.option", ["-o", "once"]),
    (MASKED + "--jobs 1 --jobs 2", "command.option", ["--jobs", "once"]),
    (MASKED + "--std --std s.tif", "command.option", ["--std", "once"]),
    (MASKED + "--gaps-kind zero", "command.option", ["--gaps-kind", "nonzero already"]),
    (MASKED + "--reference ref.tif --reference-gaps-kind none --reference-gaps-kind scl", "command.option", ["none"]),
    (MASKED + "--reference ref.tif --reference-date 2024-06-30 --reference-date 2024-07-01", "command.option",
     ["--reference-date", "2024-06-30 already"]),
    (MASKED + "--dem none.tif", "raster.missing", ["none.tif"]),
    (MASKED + "--dem endless.tif", "raster.placed", ["endless.tif"]),
    (MASKED + "--dem m.tif", "dem.mask", ["m.tif", "--gaps"]),
    (MASKED + "--dem far.tif", "guide.apart", ["far.tif", "--dem"]),
    (MASKED + "--sar far.tif", "guide.apart", ["far.tif", "--sar"]),
    (MASKED + "--sun 400,10", "command.option", ["--sun", "360"]),
    (MASKED + "--sun 100", "command.option", ["--sun", "2 values"]),
    (MASKED + "--sun south,high", "command.usage", ["--sun", "south"]),
    (MASKED + "--date 30.6.2024", "command.option", ["--date", "2024-06-30"]),
    # how to fill
    (MASKED + "--bands 9", "model.no-band", ["9", "--bands"]),
    (MASKED + "--bands 0", "command.option", ["--bands", "from 1"]),
    (MASKED + "--bands red", "command.usage", ["--bands", "red"]),
    ("fill --std t.tif -o o.tif", "command.usage", ["TARGET, which comes first"]),
    (MASKED + "--bands 5-2", "command.usage", ["--bands", "5-2"]),
    (MASKED + "--bands 1,1", "command.option", ["--bands", "once"]),
    (CHOSEN + "--model gided", "model.unknown", ["gided; ready to use are guided, auto,"]),
    (CHOSEN + "--model magic", "model.unknown", ["magic", "guided"]),
    (CHOSEN + "--model copy", "model.needs", ["copy", "--reference"]),
    (MASKED + "--set a", "command.option", ["--set", "KEY=VALUE"]),
    (MASKED + "--set a=1", "model.setting", ["nearest", "a"]),
    (MASKED + "--quality high", "command.usage", ["--quality", "fast"]),
    (MASKED + "--seed -1", "command.usage", ["--seed"]),
    (MASKED + "--device gpu", "command.usage", ["--device", "cuda"]),
    (MASKED + "--memory-limit 0", "command.usage", ["--memory-limit", "gigabytes"]),
    (MASKED + "--memory-limit 0.00001", "memory.limit", ["--memory-limit"]),
    (MASKED + "--jobs many", "command.usage", ["--jobs", "whole number"]),
    (MASKED + "--tmp nowhere", "tmp.folder", ["nowhere", "--tmp"]),
    ("clear t.tif -o o.tif --model guided", "model.mode", ["guided", "msda-cr"]),
    ("clear t.tif -o o.tif --model cvae", "model.untrained", ["terramend train cvae", "weights="]),
    ("clear t.tif -o o.tif --model cvae --set weights=nowhere", "model.value", ["nowhere", "models cvae says"]),
    ("fill t.tif -o o.tif --model de --set weights=nowhere", "model.value", ["nowhere", "config.json"]),
    # what to write
    ("fill t.tif -o t.tif", "output.is-input", ["t.tif"]),
    ("fill t.tif -o ./t.tif --overwrite", "output.is-input", ["t.tif"]),
    ("fill twice.vrt -o t.tif --overwrite", "output.is-input", ["t.tif"]),
    ("fill t.tif --gaps m.tif -o m.tif --overwrite", "output.is-input", ["m.tif"]),
    ("fill t.tif -o there.tif", "output.exists", ["there.tif", "--overwrite"]),
    ("fill t.tif -o nowhere/o.tif", "output.no-folder", ["nowhere"]),
    ("fill t.tif -o o.png", "output.ending", ["o.png", ".tif"]),
    ("fill t.tif -o empty", "output.folder", ["empty"]),
    ("fill t.tif --std o.tif -o o.tif", "output.twice", ["o.tif"]),
    ("fill t.tif --provenance there.tif -o o.tif", "output.exists", ["there.tif"]),
    (MASKED + "--co COMPRESS=JPEG", "output.lossy", ["JPEG"]),
    (MASKED + "--co PREDICTOR=9", "output.value", ["PREDICTOR=9", "2"]),
    (MASKED + "--co OVERVIEWS=YES --co RESAMPLING=foo", "output.value", ["RESAMPLING=foo", "AVERAGE"]),
    (MASKED + "--co COLOUR=RED", "output.option", ["COLOUR"]),
    (MASKED + "--co COG", "command.option", ["--co", "KEY=VALUE"]),
    (MASKED + "--unfilled burn", "command.option", ["--unfilled", "keep"]),
    (MASKED + "--unfilled nodata", "output.unfilled", ["t.tif", "--unfilled"]),
    # the other commands
    ("mask twice.vrt --gaps m.tif -o t.tif --overwrite", "output.is-input", ["t.tif"]),
    ("mask none.tif -o o.tif", "raster.missing", ["none.tif"]),
    ("mask t.tif --gaps codes.tif -o o.tif", "mask.ambiguous", ["codes.tif"]),
    ("mask t.tif --dem d.tif -o o.tif", "command.usage", ["--dem"]),
    ("inspect t.tif --gaps codes.tif", "mask.ambiguous", ["codes.tif"]),
    ("accuracy none.tif", "raster.missing", ["none.tif"]),
    ("models install", "command.usage", ["NAME"]),
    ("models align-cr --from folder", "command.usage", ["install", "--from"]),
    ("models guided align-cr", "command.usage", ["install"]),
    ("models install nothing", "weights.unknown", ["nothing", "--set weights=FOLDER"]),
    ("models remove x", "model.unknown", ["remove", "guided"]),
    ("batch", "command.usage", ["TABLE.csv", "--folder"]),
    ("batch none.csv", "batch.table", ["none.csv"]),
    ("batch t.tif", "batch.raster", ["t.tif is a raster and no table", "terramend fill t.tif"]),
    ("batch unmasked", "batch.no-table", ["unmasked is a folder", "--folder "]),
    ("batch table.csv", "batch.table", ["table.csv", "colour"]),
    ("batch --folder empty", "batch.folder", ["empty", "*.tif"]),
    ("batch --folder . -o out/{name}.tif", "command.option", ["--output", "{name}", "{stem} and {folder}"]),
    ("batch --folder . -o {stem}.tif --std {}.tif", "command.option", ["--std", "{} stands for nothing"]),
    ("batch --folder . --folder empty", "command.option", ["--folder", "once"]),
    ("doctor --jobs x", "command.usage", ["--jobs"]),
    ("serve now", "command.usage", ["now"]),
]  # fmt: skip


def listing(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(("words", "code", "named"), WRONG, ids=[words for words, _, _ in WRONG])
def test_wrong_input(place, capsys, words, code, named):
    before = listing(place)
    status = cli.main([*shlex.split(words), "--json"] if "serve" not in words else shlex.split(words))
    after = listing(place)
    (place / "o.tif").unlink(missing_ok=True)
    shown = capsys.readouterr()
    sentence = shown.err.splitlines()[-1].removeprefix("terramend: ")
    assert "Traceback" not in shown.err
    assert sentence.endswith(".") and all(name in sentence for name in named), sentence
    if words != "serve now":
        error = json.loads(shown.out)["error"]
        assert error["message"] == sentence
        assert status == ERRORS[error["code"]][0] in (2, 3), sentence
        assert code is None or error["code"] == code, sentence
    assert status in (2, 3)
    assert after == before


def test_a_file_that_is_cut_off(place, capsys):
    """Found while reading, so the outputs were begun: none of them is left."""
    before = listing(place)
    assert cli.main(shlex.split(MASKED.replace("t.tif", "cut.tif", 1))) == 2
    assert "Traceback" not in (shown := capsys.readouterr().err)
    assert "cut.tif" in shown.splitlines()[-1]
    assert listing(place) == before


def test_settings_that_are_wrong(place, capsys, monkeypatch):
    monkeypatch.setenv("TERRAMEND_CONFIG", str(place / "settings.toml"))
    assert cli.main(shlex.split(MASKED)) == 2
    assert "settings.toml" in capsys.readouterr().err
    monkeypatch.setenv("TERRAMEND_CONFIG", "nowhere.toml")
    assert cli.main(["doctor"]) == 2
    assert "nowhere.toml" in capsys.readouterr().err


def test_cuda_where_it_does_not_compute(place, capsys, monkeypatch):
    missing = device.Probe("cuda", False, None, "there is none")
    monkeypatch.setattr(device, "probe", lambda name: missing)
    before = listing(place)
    assert cli.main([*shlex.split(MASKED), "--device", "cuda"]) == 3
    assert "there is none" in capsys.readouterr().err
    assert listing(place) == before


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_is_one_sentence(code):
    status, sentence = ERRORS[code]
    assert status in (1, 2, 3, 4, 5)
    assert sentence[0].isupper() or sentence[0] == "{" or sentence.startswith("--")
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 300
