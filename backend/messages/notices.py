"""Every notice of Terramend: what the user should know, but what does not stop a run.

Standard library only: QGIS's Python imports this too, to translate the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Mapping, Sequence

from .reasons import REASONS

# code: sentence. Notices do not stop a run; they are shown and kept in the result.
NOTICES: Mapping[str, str] = MappingProxyType(
    {
        "batch.elsewhere": "{why} Its rows go to other workers.",
        "batch.masks": (
            "Left out of {folder} as masks and quality bands, by their names: {count} ({first} first). "
            "Name in a table which of them is to be filled."
        ),
        "batch.packages": (
            "The cluster's worker {worker} has {theirs}, this machine {ours}: "
            "what it fills may differ in the last digits."
        ),
        "batch.row": "Row {row} ({target}) failed: {why}",
        "batch.written": (
            "Left out of {folder} as written by Terramend: {count} ({first} first). "
            "Name in a table what is to be filled again."
        ),
        "bands.dates": (
            "The bands of {name} are dates, from {first} to {last}, but bands of one raster are taken for "
            "one day: none is read as another date. Write each date into a file that is named by it "
            "(gdal_translate -b N), and name their folder as other dates."
        ),
        "bands.empty": (
            "Band {band} of {name} holds hardly a valid pixel. It teaches nothing and stays as it is; "
            "--bands {band} fills it by itself, if other dates have it."
        ),
        "bands.left": (
            "{name} has gaps in bands that stay as they are: {bands}. Beside optical bands, temperatures "
            "and indices are filled only if --bands names them."
        ),
        "bands.order": (
            "{name} does not say which bands it has: they are taken in the order {order}, as the network "
            "reads them. Choose them with --bands, or name them in the file, if that is wrong."
        ),
        "bands.thermal": "Band {band} is thermal: what is filled is an estimate of the clear sky's value.",
        "clear.nothing": (
            "Nothing of {name} was observed inside what the masks mark and the extent holds: the output is a "
            "copy of the target."
        ),
        "experiment.trains": "The network in {path} is trained.",
        "fetch.note": "The region {region} may be of no use: {note}.",
        "fetch.skipped": "{name} is left out: {why}",
        "guide.blank": (
            "What {option} names holds no value inside the raster to fill: it guides nothing. "
            "Check that it shows the same place, and what it declares as nodata."
        ),
        "guide.feet": "{name} is in feet; it is turned into metres.",
        "guide.first-band": "{path} has several bands; the first is taken as elevation.",
        "guide.partly": (
            "What {option} names covers {percent} % of the gaps; the rest is filled without it. "
            "Of several tiles make one raster (gdalbuildvrt)."
        ),
        "mask.beside": (
            "{path} looks like a mask of {name}, but its name does not say how to read it: it is not used. "
            "Name it with --gaps."
        ),
        "mask.everything": (
            "Every pixel of {name} is a gap: only references, terrain and radar can say what is there."
        ),
        "mask.no-own": "{name} has no mask of its own: the masks that were chosen count, and nodata.",
        "mask.no-shadow": (
            "The mask {path} ({kind}) marks clouds but no cloud shadows: these stay as they are, unless "
            "--missed finds them, or another mask or polygons mark them."
        ),
        "mask.fringe": (
            "Within {pixels} pixels of the gaps lies cloud or haze that the mask does not mark: guided "
            "learns nothing from it. --grow {grow}px would fill it too."
        ),
        "mask.fringe-shadow": (
            "Within {pixels} pixels of the gaps lies shadow that the mask does not mark: guided learns "
            "nothing from it. --grow {grow}px would fill it too."
        ),
        "mask.cast-shadow": (
            "Shadows of the clouds lie apart from them, and the mask does not mark them: guided learns "
            "nothing from them, and they stay as they are. --missed fills them too."
        ),
        "mask.missed": (
            "What the masks missed, cloud or shadow, is filled too: {percent} % of the scene, beside what "
            "they mark."
        ),
        "mask.missed-bands": (
            "What the masks missed in {name} was not looked for: no band to fill is known to show sunlight. "
            "Name those that do in the raster's band descriptions (such as B04, B03, B02)."
        ),
        "mask.missed-none": "Neither cloud nor shadow was found that the masks missed.",
        "mask.nothing": "The mask {path}, read as {kind}, marks nothing inside the target.",
        "mask.open-nodata": (
            "{percent} % of the scene's outline is nodata that is open to its edge (as the stripes of "
            "Landsat 7 are) and is left as it is; --fill-swath-edges fills stripes too, a mask or polygons "
            "(--gaps) a cloud at the edge, and the raster as its own mask, its nodata named by --gaps-kind "
            "as value=V (NaN as value=nan), all of it."
        ),
        "mask.own": (
            "{path} belongs to {name}, but polygons alone are asked for: clouds beyond them stay, and are "
            "taken for ground. --own-mask fills them too."
        ),
        "mask.paired": "The mask {path} and its raster have no common CRS: they are paired pixel to pixel.",
        "mask.partial": (
            "The mask {path} covers only {percent} % of the raster: what lies beyond is taken as clear."
        ),
        "polygons.no-crs": (
            "{path} and the raster have no common CRS: its coordinates are taken as the raster's."
        ),
        "mask.rim": (
            "{percent} % of the valid pixels next to the gaps disagree with the other dates: "
            "the mask may miss cloud or shadow there. Growing it with --grow may help."
        ),
        "mask.specks": (
            "{percent} % of the single valid pixels inside the gaps disagree with the other dates: the mask "
            "may have missed cloud there, which fills are drawn to. --grow {grow}px fills them too."
        ),
        "model.unused": "The method {model} makes no use of {option}; these do: {known}.",
        "notice.alike": "The same holds for {count} more of the other dates.",
        "notice.grid": "In the bands of {grid}: {told}",
        "output.nodata": (
            "Valid samples of {name} that are {value}: {count}. The output has that value as nodata, for a "
            "GeoTIFF has one and the bands declare several: programs take them for missing. Fill the bands "
            "that declare another as a raster of their own."
        ),
        "pair.pixels": "{name} and the raster to fill have no common CRS: they are paired pixel to pixel.",
        "reference.apart": "{path} does not overlap the raster to fill and is left out.",
        "reference.bands-few": (
            "{name} has fewer bands ({count}) than are to be filled ({wanted}): {model} does not use it. "
            "Choose with --bands those that it has."
        ),
        "reference.bands-unlike": (
            "{name} has not all the bands to fill, or does not say so: {model} takes its bands as they come, "
            "which may be others."
        ),
        "reference.blank": (
            "{name} shows nothing of the raster to fill: its mask marks all of it, or all is nodata. "
            "Check the mask and how it is read."
        ),
        "reference.broken": "{path} is left out of the other dates. {why}",
        "reference.copy": (
            "{name} holds the very values of the raster to fill at {percent} % of the pixels that both "
            "show, as a copy or a mosaic of it does: what it shows in the gaps is taken over, clouds too, "
            "and the uncertainty cannot tell. Leave it out, or give it a mask."
        ),
        "reference.date": "The date of {name} is not known: it is used as if it were close in time.",
        "reference.degrees": (
            "{name} and the raster to fill differ in their degrees (Celsius and kelvin): regressions allow "
            "for it, a line in time leaves it out, and what is copied of it is wrong. Turn one into those "
            "of the other (Celsius is kelvin less 273.15)."
        ),
        "reference.filled": (
            "{name} was filled by Terramend: its estimates are taken as if they had been observed. "
            "Give the raster that was filled instead, with its mask."
        ),
        "reference.itself": (
            "{path} is left out of the other dates: it is the raster to fill, with what lies in its gaps."
        ),
        "reference.level": (
            "{name} and the raster to fill differ in level (surface or top-of-atmosphere reflectance): "
            "methods that regress allow for it, copying does not."
        ),
        "reference.moved": (
            "{name} lies off the raster to fill by {by}: guided moves it back before it learns from it."
        ),
        "reference.twice": "{path} stands more than once among the other dates: it counts once.",
        "reference.unmasked": (
            "{path} has no mask of its clouds and is left out of the other dates: put one beside it, "
            "or say with --references-clear that those without a mask are clear."
        ),
        "reference.units": (
            "{name} holds values {times} times those of the raster to fill, as where one file lacks its "
            "scale: regressions allow for it, a line in time leaves it out, and what is copied of it is "
            "wrong. Write the scale into that file (gdal_edit -scale)."
        ),
        "sar.amplitude": "{name} looks like uncalibrated amplitudes; they are turned into dB as they are.",
        "sar.beside": "{name} holds one polarisation; the other is read from {path}, which lies beside it.",
        "sar.one": "{name} has one band that is not named VV or VH; it is taken as VV.",
        "sar.order": "{name} has no bands named VV and VH: band {vv} is taken as VV and band {vh} as VH.",
        "sar.linear": "{name} holds linear power; it is turned into dB.",
        "sar.swapped": (
            "In {name} the band named VV is darker than VH, which land hardly ever is: "
            "its bands may be swapped. They are taken as they are named."
        ),
        "scene.no-sun": (
            "The sun's position is not known: terrain guides by elevation and slope only. "
            "Give it with --sun AZIMUTH,ELEVATION."
        ),
        "product.guess": (
            "{name} does not say how its values become reflectance; {rule} is taken. "
            "Write scale and offset into the file if that is wrong."
        ),
        "product.compressed": "{path} is compressed as a whole, so reading is slow: unpack it for speed.",
        "raster.alpha": (
            "Band {band} of {name} is declared as alpha, but shows something else: it is not taken as that."
        ),
        "raster.classes": (
            "{name} holds {count} different whole numbers in patches, as a map of classes does, and is "
            "filled as if it were light. If they are classes, end the name of the file in _landcover and "
            "choose the band with --bands 1: then each pixel takes the most frequent class around it."
        ),
        "raster.zero-fill": "{name} declares no nodata; zero in all bands is taken as outside the scene.",
        "raster.times": (
            "{name} holds {count} times one after the other: they are taken for bands of one date. "
            "Save the date to fill by itself if that is wrong."
        ),
        "raster.undeclared": (
            "{name} declares no nodata; {value}, which stands in a part of it, is taken as that. "
            "Declare another in the file if that is wrong."
        ),
        "radiometry.guess": (
            "{name} does not say how its values become reflectance; {rule} is taken. "
            "Set the radiometry if that is wrong."
        ),
        "evaluate.alone": "{path} is left out: it shares date or name with no scene of its folder.",
        "evaluate.bands": "{path} is left out: its bands are {count}, those of {first} {expected}.",
        "evaluate.day": (
            "{path} is left out: {first} is of the same date, and a date is one file with all its bands."
        ),
        "evaluate.grid": (
            "{path} is left out: it does not lie on the grid of {first}. Each place has a folder of its own; "
            "terramend fetch landsat --from FOLDER brings scenes and elevation of a place onto one grid."
        ),
        "evaluate.radar": "{path} is left out: radar has two bands, VV and VH.",
        "evaluate.no-clouds": (
            "The cases have blobs, stripes and random pixels only: real cloud shapes are cut from masks that "
            "mark 5 to 90 % of a date, to hide 10 to 50 % of a case, and no mask under {root} gives any."
        ),
        "evaluate.skipped": "The method {name} is left out: the package {package} is not installed.",
        "target.empty": (
            "{name} holds nothing but nodata, which is taken as outside: there is nothing to fill. As "
            "its own mask, its nodata named by --gaps-kind as value=V (NaN: value=nan), other dates fill it."
        ),
        "fill.line": (
            "Little of {name} was observed: where other dates are clear, its gaps follow the line in time "
            "between them by {percent} %. The uncertainty says how sure that is."
        ),
        "fill.logarithms": (
            "The values of {name} are never negative and spread over orders of magnitude, as those of "
            "chlorophyll or light at night do: they are filled on a logarithmic scale, and what is filled "
            "estimates the median."
        ),
        "fill.smooth": (
            "{percent} % of the filled pixels rest on their surroundings alone: without another date, "
            "terrain or radar texture cannot come back in wide gaps, and the uncertainty is larger there."
        ),
        "training.data": (
            "{path} was learnt from other data ({before}) than --data holds now ({now}): the steps that are "
            "done are not done again. For a network of these data alone name a new folder with --out."
        ),
        "training.left-out": "Files below {path} that are not learnt from: {count}. The first: {first}",
        "training.split": "{path} is learnt from, and the other splits beside it are left to test by.",
        "fill.nothing": "No gaps were found inside the area: the output is a copy of the target.",
        **REASONS,
    }
)


@dataclass(frozen=True)
class Notice:
    """Something that the user should know but that does not stop the run.

    Arguments may be notices themselves, which name a thing in the sentence.
    """

    code: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The English sentence; `ui` translates the template instead."""
        return NOTICES[self.code].format(**self.arguments)

    def to_json(self) -> dict[str, Any]:
        """The notice as it stands in results and `log` notifications."""
        arguments = {k: v.to_json() if isinstance(v, Notice) else v for k, v in self.arguments.items()}
        return {"code": self.code, "arguments": arguments, "message": self.sentence}

    def __str__(self) -> str:
        return self.sentence


def together(notices: Sequence[Notice]) -> str:
    """Their sentences, one after the other."""
    return " ".join(notice.sentence for notice in notices)
