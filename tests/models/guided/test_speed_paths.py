"""What was made quick must not depend on how: threads, blocks, shared masks, half size."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from terramend.models import threads
from terramend.models.base import Reference, Tile, digest
from terramend.models.classical.membrane import MaskPyramid, cascade, solve
from terramend.models.guided.dates import impute, select
from terramend.models.guided.half import halved
from terramend.models.planes import copy_where, everywhere, masked, moments
from terramend.models.registry import find


def scene(shape=(97, 130), bands=3, seed=0):
    random = np.random.default_rng(seed)
    truth = np.cumsum(random.standard_normal((bands, *shape)), axis=2).astype(np.float32) / 50
    gaps = np.zeros(truth.shape, bool)
    gaps[:, 30:60, 40:90] = True
    references = []
    for k in range(3):
        image = truth * (1 + 0.1 * k) + 0.01 * random.standard_normal(truth.shape).astype(np.float32)
        image[:, 10 * k : 10 * k + 25, 20 + 9 * k : 60] = np.nan
        references.append(Reference(image.astype(np.float32), -k))
    image = np.where(gaps, np.nan, truth).astype(np.float32)
    return Tile(image, gaps, tuple(references)), truth


@pytest.mark.parametrize("quality", ["fast", "default", "best"])
def test_any_number_of_threads_learns_the_same_bytes(quality):
    tile, _ = scene()
    model = find("guided").create(quality)
    alone = digest(model.prepare(tile))
    for count in (2, 5):
        with threads.allowed(count):
            assert digest(model.prepare(tile)) == alone


def test_each_keeps_the_order_and_hands_on_errors():
    with threads.allowed(4):
        assert threads.each(lambda i: i * i, range(50)) == [i * i for i in range(50)]
        with pytest.raises(ZeroDivisionError):
            threads.each(lambda i: 1 // i, range(3))
    assert threads.each(str, range(3)) == ["0", "1", "2"]


def test_two_pieces_of_work_meet_where_two_threads_are_allowed():
    meeting = threading.Barrier(2, timeout=60)  # passed by two threads at once, or never
    with threads.allowed(2):
        assert threads.both(lambda: (meeting.wait(), "first")[1], lambda: (meeting.wait(), 2)[1]) == (
            "first",
            2,
        )
        with pytest.raises(ZeroDivisionError):
            threads.both(lambda: 1 // 0, lambda: 2)
    assert threads.both(lambda: 1, lambda: threads.each(str, [3])) == (1, ["3"])


def test_the_second_of_two_pieces_has_its_own_parts_done_side_by_side_however_many_threads_are_idle():
    for _ in range(20):  # threads that have just begun are quick to take what is handed on
        told = threading.Event()

        def second(told: threading.Event = told) -> int:
            told.set()
            return threading.get_ident()

        with threads.allowed(4):
            assert threads.both(lambda told=told: told.wait(60), second) == (True, threading.get_ident())


def test_the_calling_thread_is_one_of_those_that_work():
    both = threading.Barrier(2, timeout=60)  # passed by two threads at once, or never

    def work(_):
        both.wait()
        return threading.get_ident()

    with threads.allowed(2):
        assert threading.get_ident() in threads.each(work, range(2))


def test_of_several_failures_the_first_part_says_its_own():
    last = threading.Event()

    def work(part):
        if part == 0:
            last.wait()
        else:
            last.set()
        raise OSError(f"part {part}")

    with threads.allowed(2), pytest.raises(OSError, match="part 0"):
        threads.each(work, range(2))


def test_no_part_still_reads_when_another_has_failed():
    begun, ended = threading.Event(), threading.Event()

    def work(part):
        if part == "damaged":
            begun.wait()
            raise OSError("cut off")
        begun.set()
        time.sleep(0.3)
        ended.set()

    with threads.allowed(2), pytest.raises(OSError, match="cut off"):
        try:
            threads.each(work, ["damaged", "whole"])
        finally:
            assert ended.is_set()


@pytest.mark.parametrize("count", [1, 3])
def test_work_that_is_wanted_no_more_ends_before_its_next_part(count):
    begun, unwanted = [], threading.Event()

    def proceed():
        if unwanted.is_set():
            raise InterruptedError

    def inner(_):
        begun.append(threading.current_thread())
        unwanted.set()

    def whole():
        threads.each(inner, [0])
        threads.each(inner, range(9))

    with threads.allowed(count, proceed), pytest.raises(InterruptedError):
        threads.each(lambda _: whole(), range(2))  # where threads are allowed, parts of parts are one's own
    assert len(begun) <= 2
    assert threads.each(str, [1]) == ["1"]


def test_blocks_of_pixels_do_not_show(monkeypatch):
    tile, _ = scene()
    planes = [plane for reference in tile.references for plane in reference.image]
    owner = np.repeat(np.arange(3), 3)
    joint = impute.learn(planes, owner)
    whole, share = impute.complete(planes, joint)
    monkeypatch.setattr(impute, "_CHUNK", 777)
    monkeypatch.setattr(impute, "_PART", 555)
    again = impute.learn(planes, owner)
    np.testing.assert_allclose(again.correlation, joint.correlation, atol=2e-6)
    parts, same = impute.complete(planes, joint)
    np.testing.assert_allclose(parts, whole, atol=2e-5)
    np.testing.assert_array_equal(share, same)


def test_a_date_is_missing_where_one_of_its_bands_is():
    tile, _ = scene()
    planes = [plane.copy() for reference in tile.references for plane in reference.image]
    planes[1][70:80, 70:80] = np.nan
    owner = np.repeat(np.arange(3), 3)
    filled, share = impute.complete(planes, impute.learn(planes, owner))
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(share[75, 75], 2 / 3)


def test_correlation_is_numpys_on_common_pixels():
    random = np.random.default_rng(3)
    first = random.standard_normal((2, 60, 70)).astype(np.float32) + 5
    second = (0.5 * first[[0, 1, 0]] + random.standard_normal((3, 60, 70))).astype(np.float32)
    common = random.random((60, 70)) < 0.6
    made = select.correlation(first, second, common)
    expected = np.corrcoef(np.concatenate([first, second])[:, common])[:2, 2:]
    np.testing.assert_allclose(made, expected, atol=1e-6)
    np.testing.assert_array_equal(select.correlation(first * 0, second, common), 0)


def test_a_shared_ground_changes_nothing():
    tile, _ = scene()
    image = tile.image[0]
    pyramid = MaskPyramid(np.isfinite(image))
    for method in (cascade, solve):
        np.testing.assert_array_equal(method(image), method(image, pyramid=pyramid))
        np.testing.assert_array_equal(method(np.nan_to_num(image), pyramid=pyramid), method(image))


def test_masked_copies_are_numpys():
    random = np.random.default_rng(1)
    values, where = random.random((9, 11)).astype(np.float32), random.random((9, 11)) < 0.5
    np.testing.assert_array_equal(masked(values, where), np.where(where, values, 0))
    out = np.full((9, 11), 7, np.float32)
    np.testing.assert_array_equal(copy_where(values, where, out), np.where(where, values, 7))
    np.testing.assert_allclose(moments(values, where), (values[where].mean(), values[where].std()), rtol=1e-6)
    assert moments(values, np.zeros_like(where)) == (0, 0)
    values[where] = np.nan
    np.testing.assert_array_equal(everywhere(np.stack([values, np.zeros_like(values)])), ~where)


@pytest.mark.parametrize("shape", [(40, 60), (41, 61)])
def test_half_size_is_the_mean_of_what_is_known(shape):
    tile, _ = scene(shape)
    small = halved(tile)
    assert small.step == 2 and small.pixel_size == (20, 20)
    assert small.image.shape[1:] == (-(-shape[0] // 2), -(-shape[1] // 2))
    for row, column in ((0, 0), (14, 19), (15, 20), (small.image.shape[1] - 1, small.image.shape[2] - 1)):
        block = np.s_[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        for image, made in ((tile.image, small.image), (tile.references[0].image, small.references[0].image)):
            for band, values in enumerate(image[block].reshape(len(image), -1)):
                known = values[np.isfinite(values)]
                if 2 * len(known) >= values.size:
                    np.testing.assert_allclose(made[band, row, column], known.mean(), rtol=1e-5)
                else:
                    assert np.isnan(made[band, row, column])
    assert (small.gaps <= ~np.isfinite(small.image)).all() and small.gaps.any()


def test_fast_learns_large_scenes_at_half_size():
    tile, truth = scene((70, 530))
    model = find("guided").create("fast")
    state = model.prepare(tile)
    assert state.regression.distant
    made = model.predict(tile, state)
    assert np.sqrt(np.nanmean((made.mean - truth)[tile.gaps] ** 2)) < 0.2 * truth.std()


@pytest.mark.parametrize("quality", ["fast", "default"])
def test_the_context_that_a_quality_asks_for_is_enough(quality):
    random = np.random.default_rng(7)
    tile, _ = scene((256, 240))
    noisy = tile.image + 0.01 * random.standard_normal(tile.image.shape).astype(np.float32)
    gaps = tile.gaps.copy()
    gaps[:, 70:140, 60:200] = True
    tile = replace(tile, image=np.where(gaps, np.float32(np.nan), noisy), gaps=gaps)
    model = find("guided").create(quality)
    state = model.prepare(tile)
    whole = model.predict(tile, state)
    top, left, context = 16, 16, model.context
    part = replace(
        tile,
        image=tile.image[:, top:, left:],
        gaps=tile.gaps[:, top:, left:],
        references=tuple(replace(r, image=r.image[:, top:, left:]) for r in tile.references),
        row=top,
        column=left,
    )
    made = model.predict(part, state)
    core = np.s_[:, context:, context:]
    inner = part.gaps[core]
    assert inner.sum() > 400
    difference = np.abs(made.mean[core] - whole.mean[:, top:, left:][core])[inner]
    # A tenth of the noise: far below what an eye or a statistic could see.
    assert difference.max() < 2e-3 and np.sqrt(np.mean(difference**2)) < 2e-4
