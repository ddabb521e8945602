"""What every reader returns: a place with its dates, terrain and radar, as arrays."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from ...models.base import Flags, Floats


@dataclass(frozen=True)
class Date:
    """One acquisition.

    Attributes:
        name: unique in its place; ISO date where the day is known.
        image: (B, H, W) float32 reflectance, NaN where the file has no data. Clouds are
            still in it. B = 0 in libraries of masks.
        gaps: (H, W) bool, what the date's own mask calls cloud, shadow or no data.
        day: acquisition day, None if the source does not say.
        sar: (2, H, W) float32 VV, VH in dB near that day, or None.
    """

    name: str
    image: Floats
    gaps: Flags
    day: datetime.date | None = None
    sar: Floats | None = None


@dataclass(frozen=True)
class Place:
    """One place on one grid.

    Attributes:
        dataset, name: folder of the pack and a name that is unique in it.
        bands: names as the sensor calls them. wavelengths: nanometres, same order.
        dates: in time order where days are known.
        pixel_size: metres, height and width of a pixel.
        elevation: (H, W) float32 metres, NaN where the DEM has none, or None.
        sun: azimuth (from the grid's north) and elevation in degrees where source or orbit tell, or None.
        pairs: names of (cloudy, clear) dates that were published as a pair.
        scale: of the values: `reflectance`, or what stands in for it.
        centre: latitude and longitude in degrees, or None; `catalog` reads it from the files.
    """

    dataset: str
    name: str
    bands: tuple[str, ...]
    wavelengths: tuple[float, ...]
    dates: tuple[Date, ...]
    pixel_size: tuple[float, float] = (10.0, 10.0)
    elevation: Floats | None = None
    sun: tuple[float, float] | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    scale: str = "reflectance"
    centre: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.dates[0].gaps.shape
        return height, width

    def date(self, name: str) -> Date:
        """The date called `name`; KeyError if there is none."""
        for date in self.dates:
            if date.name == name:
                return date
        raise KeyError(f"{self.dataset}/{self.name} has no date {name}")
