"""Google Earth Engine as a recording: what is asked is kept, what is answered is made here."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.io import MemoryFile

RECORDED = json.loads((Path(__file__).parent / "earth_engine.json").read_text())
"""Messages in the words of the API (earthengine-api 1.7): hand-made, in its shape."""


class EEException(Exception):  # noqa: N818 (the API's name)
    pass


class Expression:
    """An image, a collection or a filter: a chain of calls, as the API builds it."""

    def __init__(self, engine, said):
        self.engine, self.said = engine, said

    def __getattr__(self, name):
        if name == "getInfo":
            return lambda: self.engine.info(self.said)
        return lambda *arguments: Expression(self.engine, f"{self.said}.{name}({_words(arguments)})")

    def __repr__(self):
        return self.said


def _words(arguments):
    return ", ".join(map(repr, arguments))


class Engine(types.ModuleType):
    """The module `ee`."""

    def __init__(self):
        super().__init__("ee")
        self.asked, self.counts, self.initialized = [], [], []
        self.count, self.refuses, self.answer = 12, None, None
        self.EEException = EEException
        self.Image = lambda name: Expression(self, f"Image({name})")
        self.ImageCollection = lambda name: Expression(self, f"ImageCollection({name})")
        self.Geometry = types.SimpleNamespace(
            Rectangle=lambda *a: Expression(self, f"Rectangle({_words(a)})")
        )
        self.Filter = types.SimpleNamespace(lte=lambda *a: Expression(self, f"lte({_words(a)})"))
        self.data = types.SimpleNamespace(computePixels=self.pixels)

    def Initialize(self, credentials="persistent", project=None):  # noqa: N802 (the API's name)
        self.initialized.append(project)
        if self.refuses == "Initialize":
            raise self.answer

    def info(self, said):
        self.counts.append(said)
        return self.count

    def pixels(self, asked):
        """A GeoTIFF whose samples say where they lie: hundreds of metres east, thousands by band."""
        self.asked.append(asked)
        if self.refuses == "computePixels":
            raise self.answer
        if self.answer is not None:
            return self.answer
        grid, bands = asked["grid"], asked["bandIds"]
        width, height = grid["dimensions"]["width"], grid["dimensions"]["height"]
        assert width * height * len(bands) * 2 <= 32 * 2**20  # the API's limit
        at = grid["affineTransform"]
        x = (at["translateX"] / 30 + np.arange(width)) % 1000
        dtype = "int16" if bands == ["elevation"] else "uint16"
        image = np.stack([np.broadcast_to(1000 * n + x, (height, width)) for n in range(1, len(bands) + 1)])
        transform = Affine(
            at["scaleX"], at["shearX"], at["translateX"], at["shearY"], at["scaleY"], at["translateY"]
        )
        profile = {"driver": "GTiff", "width": width, "height": height, "count": len(bands), "dtype": dtype}
        with MemoryFile() as memory:
            with memory.open(**profile, crs=grid["crsCode"], transform=transform) as target:
                target.write(image.astype(dtype))
            return memory.read()


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    monkeypatch.setitem(sys.modules, "ee", made)
    return made


@pytest.fixture
def recorded():
    return RECORDED
