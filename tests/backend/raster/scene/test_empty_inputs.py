"""What guides a fill, but does not cover its gaps, is told."""

import numpy as np
import pytest
from terramend.backend.raster.scene.empty_inputs import say_blank
from terramend.backend.watch import Watch
from terramend.models.base import Tile


@pytest.mark.parametrize(
    "columns, said", [(64, []), (16, [("guide.partly", 25)]), (0, [("guide.blank", None)])]
)
@pytest.mark.parametrize("guide, option, bands", [("terrain", "--dem", 3), ("sar", "--sar", 2)])
def test_terrain_and_radar_that_do_not_cover_the_gaps_are_told(guide, option, bands, columns, said):
    gaps = np.ones((2, 64, 64), bool)
    planes = np.ones((bands, 64, 64), np.float32)
    planes[:, :, columns:] = np.nan
    watch = Watch()
    say_blank(Tile(np.full((2, 64, 64), np.nan, np.float32), gaps, **{guide: planes}), watch)
    assert [(n.code, n.arguments.get("percent")) for n in watch.notices] == said
    assert all(n.arguments["option"] == option for n in watch.notices)
