"""Blocks that a network runs on: all that is wanted is kept once, and seen with what is around."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from terramend.models.blocks import blocks


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 15), st.integers(0, 9), st.booleans(), st.data()
)
def test_what_is_wanted_is_kept_once(height, width, side, margin, tight, data):
    random = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    wanted = random.random((height, width)) < random.uniform(0, 0.1)
    place = np.arange(wanted.size).reshape(wanted.shape)
    kept = np.zeros(wanted.shape, int)
    for outer, inner, inside in blocks(wanted, side, margin, tight):
        kept[inner] += 1
        np.testing.assert_array_equal(place[outer][inside], place[inner])
        assert wanted[inner].any() and max(place[inner].shape) <= side
        for seen, own, length in zip(outer, inner, wanted.shape, strict=True):
            assert seen.start == max(own.start - margin, 0) and seen.stop == min(own.stop + margin, length)
        if tight:
            part = wanted[inner]
            assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
    assert kept.max(initial=0) <= 1 and (kept[wanted] == 1).all()


def test_blocks_lie_on_a_grid():
    wanted = np.zeros((25, 12), bool)
    wanted[3, 4] = wanted[24, 11] = True
    assert [inner for _, inner, _ in blocks(wanted, 10, 2)] == [
        (slice(0, 10), slice(0, 10)),
        (slice(20, 25), slice(10, 12)),
    ]
    assert [inner for _, inner, _ in blocks(wanted, 10, 2, tight=True)] == [
        (slice(3, 4), slice(4, 5)),
        (slice(24, 25), slice(11, 12)),
    ]
