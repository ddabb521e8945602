"""SEN12MS as published, and the clear half of SEN12MS-CR, as patches to learn from."""

import numpy as np
import pytest
import rasterio
from terramend.backend.datasets import catalog, sen12ms
from terramend.backend.training.patches import clear_bank
from terramend.models.ddpm.model import RGB

STEM = "ROIs1158_spring"


def write(path, value, bands=13, dtype="uint16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.stack([np.full(sen12ms.SHAPE, value * (band + 1)) for band in range(bands)]).astype(dtype)
    image[:, :3, :5] = 0  # no data
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=256, width=256, dtype=dtype, compress="deflate"
    ) as sink:
        sink.write(image)


@pytest.fixture(params=[STEM, f"{STEM}_s2"], ids=["SEN12MS", "SEN12MS-CR"])
def season(request, tmp_path):
    """Two scenes with optical patches; radar, land cover and cloudy images, as the set is laid out."""
    root = tmp_path / "sets"
    for scene, patch in ((1, 30), (1, 31), (139, 2)):
        write(root / request.param / f"s2_{scene}" / f"{STEM}_s2_{scene}_p{patch}.tif", 100 + patch)
    others = root if request.param == STEM else root / "others"
    write(others / STEM / "s1_1" / f"{STEM}_s1_1_p30.tif", -3, 2, "float32")
    write(others / STEM / "lc_1" / f"{STEM}_lc_1_p30.tif", 4, 4)
    write(root / f"{STEM}_s2_cloudy" / "s2_cloudy_1" / f"{STEM}_s2_cloudy_1_p30.tif", 600)
    return root / request.param


def test_every_patch_is_a_place(season):
    names = [f"{STEM}_s2_139_p2", f"{STEM}_s2_1_p30", f"{STEM}_s2_1_p31"]
    optical = [name for dataset, name in catalog.places(season.parent) if dataset == season.name]
    assert optical == names
    assert catalog.places(season) == [(".", name) for name in names]  # its scenes are no data sets
    place = catalog.read_place(season.parent, season.name, names[1])
    (date,) = place.dates
    assert place.wavelengths[3] == 665 and date.gaps.sum() == 15 and np.isnan(date.image[:, 0, 0]).all()
    assert np.allclose(date.image[:, 100, 100], np.arange(1, 14) * 0.013)
    assert [path.name for path in catalog.source_files(season.parent, season.name, names[0])] == [
        f"{STEM}_s2_139_p2.tif"
    ]


def test_patches_are_read_when_they_are_drawn(season, monkeypatch):
    seen = []
    read = sen12ms.read
    monkeypatch.setattr(sen12ms, "read", lambda *given: seen.append(given[1]) or read(*given))
    for root in (season.parent, season, season / "s2_1"):  # the set, a season, a scene
        bank = clear_bank(root, RGB, 128)
        assert len(bank.names) == (2 if root.name == "s2_1" else 3) and not seen
        drawn = bank.draw(0, 0, 6, 128)
        assert drawn.shape == (6, 3, 128, 128) and np.isfinite(drawn).all()
        ratio = drawn[:, 0].max((1, 2)) / drawn[:, 2].max((1, 2))
        assert np.allclose(ratio, 4 / 2)  # B4 and B2
        assert set(seen) <= {f"{STEM}_s2_{end}" for end in ("1_p30", "1_p31", "139_p2")}
        seen.clear()
