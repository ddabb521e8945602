"""Makes `makers` and `gap_makers` importable (test files may repeat names, so no package is made of the tests)."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gap_makers import raster, save


@pytest.fixture
def tmp(tmp_path):
    """A folder for what is kept while a gap map is open; nothing of it may stay."""
    folder = tmp_path / "work"
    yield folder
    assert not folder.exists() or not list(folder.iterdir()), "temporary files are left"


@pytest.fixture
def plain(tmp_path):
    """A target without nodata of 3 bands and 70 x 90 pixels."""
    return raster(save(tmp_path / "target.tif", np.full((3, 70, 90), 100, np.uint16)))
