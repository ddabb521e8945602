"""Draws the pictures of `docs/methods.md` and `docs/guided.md` from `sample/`: `make pictures`.

Every panel is a fill that the backend just did; the errors in the titles are those of the pictures.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.figure import Figure
from terramend.backend.datasets.gaps import Gap, make
from terramend.backend.fill import fill
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch

ROOT = Path(__file__).resolve().parents[1]
SAMPLE, IMAGES = ROOT / "sample", ROOT / "docs" / "images"
NIR = 3  # of the bands of Boadella


def read(path: str | Path) -> np.ndarray:
    """All bands as float64."""
    with rasterio.open(path) as source:
        return np.asarray(source.read(), np.float64)


class Case:
    """A scene with a hole whose truth is known, and what is shown of it.

    Args:
        request: without model and output. truth: (B, H, W). hole: (H, W). scale: values per reflectance.
        colours: bands shown as red, green, blue. part: rows and columns that are shown.
    """

    def __init__(self, request, truth, hole, scale, colours, part):
        self.request, self.truth, self.hole, self.scale = request, truth, hole, scale
        self.colours, self.part = list(colours), part
        self.low, self.high = np.percentile(truth[self.colours], [1, 99], axis=(1, 2))[:, :, None, None]

    def picture(self, image: np.ndarray) -> np.ndarray:
        """(h, w, 3) in 0..1, stretched as the truth is."""
        shown = np.clip((image[self.colours] - self.low) / (self.high - self.low), 0, 1)
        return shown.transpose(1, 2, 0)[self.part]

    def filled(self, folder: Path, **asked: object) -> tuple[np.ndarray, np.ndarray, float]:
        """Filled image, standard deviation in reflectance, RMSE in the hole in reflectance."""
        out, std = str(folder / "out.tif"), str(folder / "std.tif")
        fill(replace(self.request, output=out, std=std, overwrite=True, **asked), Watch())
        image = read(out)
        error = (image - self.truth)[:, self.hole] / self.scale
        return image, read(std) / self.scale, float(np.sqrt(np.nanmean(error**2)))


def two_dates() -> Case:
    """Boadella: a hole of real cloud shapes, another date after a storm."""
    place = SAMPLE / "two_dates"
    target = place / "boadella_2020-01-13.tif"
    image, kept = read(target), read(place / "boadella_2020-01-13_truth_in_hole.tif")
    hole = (kept > 0).all(0)
    other = Reference(
        str(place / "boadella_2020-01-28.tif"), (Mask(str(place / "boadella_2020-01-28_cloudmask.tif")),)
    )
    request = FillRequest(
        target=(str(target),),
        output="",
        gaps=(Mask(str(place / "boadella_2020-01-13_cloudmask.tif")),),
        references=(other,),
    )
    return Case(request, np.where(hole, kept, image), hole, 1e4, (2, 1, 0), np.s_[60:300, 60:360])


def terrain(folder: Path) -> Case:
    """Olinda with its low relief: a blob is hidden, there is no other date."""
    path = SAMPLE / "terrain" / "landsat7_olinda.tif"
    truth = read(path)
    hole = make(Gap("blob", 11, 0.15), truth.shape[1:])
    gaps = folder / "hole.tif"
    with rasterio.open(path) as source:
        profile = {**source.profile, "count": 1, "dtype": "uint8", "photometric": None, "nodata": None}
    with rasterio.open(gaps, "w", **{k: v for k, v in profile.items() if v is not None}) as target:
        target.write(hole.astype(np.uint8), 1)
    request = FillRequest(
        target=(str(path),),
        output="",
        gaps=(Mask(str(gaps), "nonzero"),),
        dem=str(SAMPLE / "terrain" / "srtm_olinda.tif"),
        sun=(60.0, 55.0),
    )
    return Case(request, truth, hole, 255.0, (2, 1, 0), np.s_[:, :])


def sheet(panels: list[tuple[str, np.ndarray]], columns: int, path: Path) -> None:
    """Panels with titles on one sheet; a plane without colours is drawn as a standard deviation."""
    rows = -(-len(panels) // columns)
    height, width = panels[0][1].shape[:2]
    figure = Figure((3.2 * columns, (3.2 * height / width + 0.6) * rows), layout="constrained", dpi=110)
    spreads = [image for _, image in panels if image.ndim == 2]
    top = max((float(np.nanpercentile(s[s > 0], 98)) for s in spreads), default=1.0)
    for number, (title, image) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        drawn = axes.imshow(image, vmin=0, vmax=top, cmap="viridis")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
        if image.ndim == 2:
            figure.colorbar(drawn, ax=axes, shrink=0.8).ax.tick_params(labelsize=7)
    figure.savefig(path, pil_kwargs={"quality": 82, "optimize": True})
    print(f"{path.relative_to(ROOT)}: " + "; ".join(title.replace("\n", " ") for title, _ in panels))


def guided(case: Case, made: tuple[np.ndarray, np.ndarray, float]) -> None:
    """What `guided` reads, what it makes, and how its standard deviation compares with its error."""
    image, std, error = made
    hidden = case.picture(case.truth)
    hidden[case.hole[case.part]] = (0.85, 0.1, 0.85)
    wrong = np.abs(image - case.truth)[NIR] / case.scale
    panels = [
        ("read: the target, its gap in magenta", hidden),
        ("read: another date, 15 days later", case.picture(read(case.request.references[0].path))),
        (f"made: the fill\nRMSE {error:.4f} in the gap", case.picture(image)),
        ("hidden: the truth", case.picture(case.truth)),
        ("absolute error, near infrared", wrong[case.part]),
        ("made: its standard deviation, near infrared", std[NIR][case.part]),
    ]
    sheet(panels, 3, IMAGES / "guided.jpg")


def main() -> int:
    """Draw all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = two_dates()
        hidden = case.picture(case.truth)
        hidden[case.hole[case.part]] = (0.85, 0.1, 0.85)
        alone = {"model": "guided", "references": ()}
        made = {
            "copy of the other date": case.filled(folder, model="copy"),
            "GDAL fillnodata": case.filled(folder, model="idw"),
            "guided, surroundings alone": case.filled(folder, **alone),
            "guided, with the other date": case.filled(folder, model="auto"),
        }
        panels = [("what is known (hole in magenta)", hidden), ("truth", case.picture(case.truth))]
        panels += [
            (f"{words}\nRMSE {error:.4f}", case.picture(image)) for words, (image, _, error) in made.items()
        ]
        sheet(panels, 3, IMAGES / "methods_dates.jpg")

        guided(case, made["guided, with the other date"])

        case.part = np.s_[200:300, 120:260]
        close = [("truth", case.picture(case.truth))]
        for words in ("guided, surroundings alone", "guided, with the other date"):
            image, std, _ = made[words]
            close += [
                (words, case.picture(image)),
                ("its standard deviation, near infrared", std[NIR][case.part]),
            ]
        close.insert(3, ("truth", case.picture(case.truth)))
        sheet(close, 3, IMAGES / "methods_limits.jpg")

        low = terrain(folder)
        hidden = low.picture(low.truth)
        hidden[low.hole] = (0.85, 0.1, 0.85)
        panels = [("what is known (hole in magenta)", hidden), ("truth", low.picture(low.truth))]
        for words, asked in (("surroundings alone", {"dem": None}), ("with the elevation model", {})):
            image, _, error = low.filled(folder, model="guided", **asked)
            panels.append((f"guided, {words}\nRMSE {error:.4f}", low.picture(image)))
        sheet(panels, 4, IMAGES / "methods_terrain.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
