"""How many tiles are on their way at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend import budget as module
from terramend.backend.budget import AHEAD, BASE, budget
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.tiles import TilePlan

SQUARE = (10.0, 0.0, 0.0, 0.0, -10.0, 0.0)


def plan_of(rows: int, columns: int) -> TilePlan:
    return TilePlan(Grid(None, SQUARE, columns * 256, rows * 256), 256, 64, 32, 8)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 40), st.floats(0, 4))
def test_no_limit_is_broken_and_nothing_is_left_idle(rows, columns, jobs, spare):
    plan = plan_of(rows, columns)
    free = budget(plan, jobs, None, "guided")
    assert free.workers == min(jobs, rows * columns) and free.in_flight == free.workers + AHEAD
    limit = (BASE + plan.tile_bytes * (1.001 + spare)) / 1e9
    held = budget(plan, jobs, limit, "guided")
    assert BASE + held.in_flight * plan.tile_bytes <= limit * 1e9
    assert 1 <= held.workers <= held.in_flight <= free.in_flight and held.workers <= free.workers
    more = BASE + (held.in_flight + 1) * plan.tile_bytes > limit * 1e9
    assert more or held == free


def test_all_cores_are_meant_where_no_number_of_jobs_is_given(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 5)
    assert budget(plan_of(9, 9), 0, None, "guided").workers == 5


def test_a_limit_below_one_tile_is_an_error_that_says_what_would_do():
    plan = plan_of(3, 3)
    with pytest.raises(TerramendError) as caught:
        budget(plan, 2, (BASE + 0.9 * plan.tile_bytes) / 1e9, "guided")
    assert caught.value.code == "memory.tile"
    need = float(caught.value.arguments["need"])
    assert budget(plan, 2, need, "guided").workers >= 1
