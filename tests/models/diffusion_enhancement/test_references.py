"""Any method can be what Diffusion Enhancement begins from; with the weights that come along."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from terramend.backend import weights
from terramend.backend.errors import TerramendError
from terramend.backend.filling.choose import create
from terramend.backend.request import FillRequest
from terramend.models import registry
from terramend.models import weights as pinned
from terramend.models.base import Reference, Tile

DE = registry.find("de")
FILLERS = [row.name for row in registry.ROWS if "fill" in row.modes and not (row.untrained or row.requires)]
CLEARERS = [row.name for row in registry.ROWS if "clear" in row.modes and not row.untrained]
QUICK = {"steps": "2", "samples": "1"}


def tile(mode: str) -> Tile:
    """Land in three bands with another date and radar; a gap, or thin cloud everywhere."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :56] / 48
    land = np.stack([0.05 * (band + 1) + 0.05 * np.sin(6 * rows + band) * columns for band in range(3)])
    land = (land + 0.002 * random.standard_normal(land.shape)).astype(np.float32)
    other = Reference(land * np.float32(1.1), -10)
    gaps = np.zeros(land.shape, bool)
    gaps[:, 16:30, 20:34] = True
    image = np.where(gaps, np.nan, land) if mode == "fill" else 0.8 * land + 0.1
    return Tile(
        image.astype(np.float32),
        gaps if mode == "fill" else np.ones(land.shape, bool),
        references=(other,),
        sar=np.stack([-12 + 40 * land[0], -18 + 40 * land[1]]),
        wavelengths=(665.0, 560.0, 490.0),
    )


def predicted(row: registry.Row, mode: str, **settings: str):
    made, seen = row.create("fast", 0, settings), tile(mode)
    return made.predict(seen, made.prepare(seen)), seen


@pytest.mark.parametrize(
    ("mode", "name"),
    [*(("fill", name) for name in FILLERS), *(("clear", name) for name in CLEARERS)],
)
def test_de_over_any_method(mode, name) -> None:
    if name == "de":
        with pytest.raises(ValueError, match="'de' is no method that could be its reference"):
            predicted(DE, mode, reference="de")
        return
    own, seen = predicted(registry.find(name), mode)
    whole, _ = predicted(DE, mode, reference=name, limit="1", **QUICK)  # the reference keeps all
    said = np.isfinite(own.mean) & seen.gaps
    assert said.any() and np.array_equal(np.isfinite(whole.mean) & seen.gaps, said)
    assert np.abs(whole.mean[said] - own.mean[said]).max() < 2e-3
    if name in ("guided", "msda-cr"):
        mixed, _ = predicted(DE, mode, reference=name, limit="0", **QUICK)
        assert np.abs(mixed.mean[said] - own.mean[said]).max() > 1e-5


def test_samples_give_mean_and_deviation() -> None:
    several, seen = predicted(DE, "fill", steps="2", samples="5", limit="0")
    singles = []
    for count in ("1", "5"):
        found, _ = predicted(DE, "fill", steps="2", samples=count, limit="0")
        singles.append(found)
    assert not np.array_equal(singles[0].mean, singles[1].mean, equal_nan=True)
    assert np.array_equal(singles[1].mean, several.mean, equal_nan=True)  # the seed decides
    assert (several.std[seen.gaps] > 0).all()


@pytest.mark.parametrize(("reference", "mode"), [("harmonic", "clear"), ("msda-cr", "fill")])
def test_a_reference_of_the_other_kind_is_refused(reference, mode) -> None:
    request = FillRequest(("a.tif",), "b.tif", mode, model="de", settings=(("reference", reference),))
    with pytest.raises(TerramendError) as caught:
        create(DE, request)
    can = {"fill": "clear", "clear": "fill"}[mode]
    said = f"The method de cannot use reference={reference} (so it can {can} only)"
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("reference", "mode"), [("memorynet", "clear"), ("controlnet", "fill"), ("mcgan", "fill")]
)
def test_a_reference_without_weights_is_refused(reference, mode) -> None:
    """It began from another method's network, under this one's name."""
    request = FillRequest(("a.tif",), "b.tif", mode, model="de", settings=(("reference", reference),))
    with pytest.raises(
        TerramendError, match=f"'{reference}' is no method that could be its reference to {mode}"
    ):
        create(DE, request)


def test_the_references_network_may_lie_in_the_users_folder(tmp_path, monkeypatch) -> None:
    """As where the plugin brings neither; a reference was sought beside the plugin's own alone."""
    for name in ("de-fill", "ddpm"):
        shutil.copytree(pinned.PACKAGED / name, tmp_path / name)
    monkeypatch.setenv("TERRAMEND_WEIGHTS", str(tmp_path))
    for module in (weights, pinned):
        monkeypatch.setattr(module, "PACKAGED", tmp_path / "plugin")
    given = weights.with_network(DE, "fill", {"reference": "ddpm"})
    assert given["reference_weights"] == str(tmp_path / "ddpm") and given["weights"] == str(
        tmp_path / "de-fill"
    )
    assert predicted(DE, "fill", **given, **QUICK)
    shutil.rmtree(tmp_path / "ddpm")
    with pytest.raises(ValueError, match="ddpm is no folder of a trained network"):
        predicted(DE, "fill", **given)
    with pytest.raises(TerramendError, match="ddpm needs the network ddpm"):
        weights.with_network(DE, "fill", {"reference": "ddpm"})


@pytest.mark.parametrize("reference", ["", "guided"])
def test_weights_for_a_reference_without_a_network_are_refused(reference) -> None:
    with pytest.raises(ValueError, match="for a reference that is a network"):
        predicted(DE, "fill", reference=reference, reference_weights="run")
