"""Land to train on: GeoTIFFs of two places."""

from __future__ import annotations

import numpy as np
import rasterio


def hills(root, height, width, wavelengths=()):
    """Two clear scenes of three bands with a DEM and two dates; wavelengths in nm, or none are told."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    profile = {
        "driver": "GTiff", "height": height, "width": width, "crs": "EPSG:32633",
        "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 5e6),
    }  # fmt: skip
    for place in ("one", "two"):
        folder = root / "hills" / place
        folder.mkdir(parents=True)
        relief = 300 + 200 * np.sin(x / 11 + len(place)) * np.cos(y / 9)
        with rasterio.open(folder / "dem.tif", "w", count=1, dtype="int16", **profile) as sink:
            sink.write(relief.astype("int16"), 1)
        for date, gain in (("2020-05-01", 1.0), ("2020-07-01", 1.2)):
            bands = np.stack([1500 + 300 * k + gain * relief for k in range(3)])
            noise = random.normal(0, 20, bands.shape)
            with rasterio.open(folder / f"{date}.tif", "w", count=3, dtype="uint16", **profile) as sink:
                sink.write((bands + noise).astype("uint16"))
                for k, wavelength in enumerate(wavelengths, 1):
                    sink.update_tags(k, wavelength=wavelength)
    return root
