"""Following a run: progress with ETA, notices once, cancel everywhere."""

from __future__ import annotations

import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.watch import Together, Watch


def test_progress_counts_and_estimates() -> None:
    seen = []
    watch = Watch(on_progress=seen.append)
    watch.stage("predict", 4)
    watch.advance()
    watch.advance(3)
    watch.finish()
    assert [(p.stage, p.done, p.total) for p in seen] == [("predict", n, 4) for n in (0, 1, 4)]
    assert seen[0].eta is None
    assert seen[1].eta >= 0
    assert seen[2].eta == 0
    assert watch.seconds["predict"] >= 0


def test_what_goes_on_side_by_side_counts_in_the_estimate(monkeypatch) -> None:
    """Eight units of 10 s at once: the first one's end says nothing of 100 times 10 s."""
    now, seen = [0.0], []
    monkeypatch.setattr("terramend.backend.watch.time.monotonic", lambda: now[0])
    watch = Watch(on_progress=seen.append)
    watch.stage("rows", 100, at_once=8)
    for done in range(1, 101):
        now[0] = 10.0 + 10 / 8 * (done - 1)  # one after the other, as soon as the first is done
        watch.advance()
        left = 10 / 8 * (100 - done)
        assert seen[-1].eta == pytest.approx(left, rel=0.8, abs=10)
    assert seen[-1].eta == 0
    watch.stage("predict", 4)
    now[0] += 2.0
    watch.advance()
    assert seen[-1].eta == 6.0


def test_notices_are_told_once() -> None:
    told = []
    watch = Watch(on_notice=told.append)
    watch.notice("fill.nothing")
    watch.notice("fill.nothing")
    assert len(told) == len(watch.notices) == 1
    with watch.part(0.5, 1.0, "20 m"):  # of a coarser grid, which the notice then says
        watch.notice("fill.nothing")
        watch.notice("mask.missed-none")
        watch.notice("mask.missed-none")
    watch.notice("clear.nothing", name="a")
    assert [notice.code for notice in told] == ["fill.nothing", "notice.grid", "clear.nothing"]
    with pytest.raises(TerramendError), watch.part(0.5, 1.0, "20 m"):
        raise TerramendError("run.cancelled")
    watch.notice("mask.no-own", name="a")  # of the next run that is followed
    assert told[-1].code == "mask.no-own"


def test_cancel_takes_effect_at_every_step() -> None:
    watch = Watch()
    watch.cancel()
    for step in (watch.check, lambda: watch.stage("read", 1), watch.advance):
        with pytest.raises(TerramendError) as caught:
            step()
        assert caught.value.code == "run.cancelled"
        assert caught.value.exit_status == 4


def test_what_holds_for_many_dates_is_told_once() -> None:
    seen = []
    watch = Watch(on_progress=seen.append)
    with Together(watch) as told:
        for name in "abc":
            told.notice("reference.date", name=name)
        told.notice("reference.level", name="a")
        assert watch.notices == []
    assert [(n.code, n.arguments.get("name")) for n in watch.notices] == [
        ("reference.date", "a"), ("notice.alike", None), ("reference.level", "a"),
    ]  # fmt: skip
    assert watch.notices[1].sentence == "The same holds for 2 more of the other dates."
    watch.stage("dates", 3)
    told.stage("list", 2)
    told.advance()
    watch.cancel()
    for step in (told.check, told.advance):
        with pytest.raises(TerramendError):
            step()
    assert [(p.stage, p.done, p.total) for p in seen] == [("dates", 0, 3), ("list", 0, 2), ("list", 1, 2)]
