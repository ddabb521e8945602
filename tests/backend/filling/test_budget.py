"""What a memory limit allows: threads that see the scene, tiles on their way, and how many dates."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.errors import TerramendError
from terramend.backend.filling import budget as module
from terramend.backend.filling.budget import AHEAD, PROCESS, READ, WRITE, Sight, budget
from terramend.backend.raster.gdal import cache_bytes
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.tiles import TilePlan, plan_tiles

SQUARE = (10.0, 0.0, 0.0, 0.0, -10.0, 0.0)
SMALL = Sight(1000, 1000, 4, (), 0, kept=False, regresses=True)
MANY = Sight(1000 * 1000, 1000 * 1000, 4, (4,) * 12, 0, kept=True, regresses=True)


def plan_of(rows: int, columns: int, channels: int = 8) -> TilePlan:
    return TilePlan(Grid(None, SQUARE, columns * 256, rows * 256), 256, 64, 32, channels)


def plan_for(sight: Sight) -> TilePlan:
    return plan_tiles(plan_of(4, 4).grid, 16 + sum(sight.dates), 64)


def refused(sight: Sight, limit: float) -> TerramendError:
    with pytest.raises(TerramendError) as caught:
        budget(plan_for(sight), sight, 2, limit, "guided")
    return caught.value


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 40),
    st.floats(0.8, 4),
    st.sampled_from([SMALL, MANY]),
)
def test_no_limit_is_broken_and_nothing_is_left_idle(rows, columns, jobs, spare, sight):
    plan = plan_of(rows, columns)
    free = budget(plan, sight, jobs, None, "guided")
    assert free.workers == min(jobs, rows * columns) and free.in_flight == free.workers + AHEAD
    assert free.readers == jobs
    limit = sight.least() + spare
    held = budget(plan, sight, jobs, limit, "guided")
    base = PROCESS + WRITE + cache_bytes(limit) + sight.kept_bytes
    assert base + held.in_flight * plan.tile_bytes <= limit * 1e9
    assert 1 <= held.workers <= held.in_flight <= free.in_flight and held.workers <= free.workers
    more = base + (held.in_flight + 1) * plan.tile_bytes > limit * 1e9
    assert more or (held.workers, held.in_flight) == (free.workers, free.in_flight)
    read = PROCESS + cache_bytes(limit) + sight.seen_bytes
    assert 1 <= held.readers <= jobs and read + held.readers * sight.reading_bytes <= limit * 1e9
    assert held.readers == jobs or read + (held.readers + 1) * sight.reading_bytes > limit * 1e9


def test_a_limit_beyond_all_memory_is_none():
    free, held = (budget(plan_of(3, 3), SMALL, 4, limit, "guided") for limit in (None, 1e308))
    assert held == free


def test_all_cores_are_meant_where_no_number_of_jobs_is_given(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 5)
    free = budget(plan_of(9, 9), SMALL, 0, None, "guided")
    assert (free.workers, free.readers) == (5, 5)


@pytest.mark.parametrize("sight", [SMALL, replace(MANY, dates=(4,))])
def test_a_limit_below_the_scene_is_an_error_that_says_what_would_do(sight):
    error = refused(sight, 0.1)
    assert error.code == "memory.limit"
    need = float(error.arguments["need"])
    assert budget(plan_for(sight), sight, 2, need, "guided").workers >= 1


def test_dates_count_and_so_many_fit_as_is_said():
    """12 dates of a scene of 1000 x 1000 pixels and 4 bands took 1.07 GB, with 4 of them 0.62 GB (measured)."""
    assert MANY.least() > 1.07
    error = refused(MANY, 0.7)
    assert error.code == "memory.dates" and error.arguments["count"] == 12
    fits, need = int(error.arguments["fits"]), float(error.arguments["need"])
    assert 4 <= fits < 12
    some = replace(MANY, dates=(4,) * fits)
    assert budget(plan_for(some), some, 2, 0.7, "guided").workers >= 1
    assert refused(replace(MANY, dates=(4,) * (fits + 1)), 0.7).code == "memory.dates"
    assert budget(plan_for(MANY), MANY, 2, need, "guided").workers >= 1


def test_a_method_that_does_not_regress_needs_less():
    assert replace(MANY, regresses=False).least() < MANY.least() / 1.2


@given(st.integers(1, 90), st.integers(1, 2000), st.integers(0, 6), st.booleans(), st.booleans())
def test_the_limit_that_an_error_names_does_and_less_does_not(channels, side, dates, kept, regresses):
    grid = Grid(None, SQUARE, 5000, 5000)

    def of(count: int) -> tuple[TilePlan, Sight]:
        sight = Sight(side * side, side * side, 4, (4,) * count, 0, kept, regresses)
        return plan_tiles(grid, channels + sum(sight.dates), 64), sight

    def refused(count: int, limit: float) -> TerramendError:
        with pytest.raises(TerramendError) as caught:
            budget(*of(count), 2, limit, "guided")
        return caught.value

    needs = [float(refused(count, 0.2).arguments["need"]) for count in range(dates + 1)]
    for count, need in enumerate(needs):
        plan, sight = of(count)
        assert budget(plan, sight, 2, need, "guided").workers >= 1
        base = PROCESS + cache_bytes(need)
        assert base + WRITE + sight.kept_bytes + plan.tile_bytes <= need * 1e9
        assert base + sight.seen_bytes + sight.reading_bytes <= need * 1e9
        refused(count, need - 0.101)  # it is rounded up to tenths
        if 0 < count < dates and needs[dates] - 0.101 > need:
            assert refused(dates, need).arguments["fits"] >= count


def test_one_source_is_read_at_a_time_and_the_widest_takes_most():
    narrow = replace(SMALL, bands=1)
    assert narrow.reading_bytes == READ * narrow.strip
    for wide in (replace(narrow, bands=5), replace(narrow, dates=(2, 5)), replace(narrow, guides=5)):
        assert wide.reading_bytes == 5 * narrow.reading_bytes
