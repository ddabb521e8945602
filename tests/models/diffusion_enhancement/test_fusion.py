"""The fusion against its closed form, and whole loops whose end is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.models.diffusion import sampler, schedules
from terramend.models.diffusion_enhancement.fusion import enhance, fused, limited

LINEAR = schedules.make("linear", 1000)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_closed_form(diffused, reference, weight, limit):
    kept = max(weight, limit)
    arrays = [np.array([value], np.float32) for value in (diffused, reference, weight)]
    found = fused(arrays[0], arrays[1], limited(arrays[2], limit))
    assert found.dtype == np.float32
    assert float(found[0]) == pytest.approx((1 - kept) * diffused + kept * reference, abs=1e-6)


def run(weight, limit, *, steps=10, known=None, clean=0.6, reference=-0.4):
    """A loop whose diffusion branch knows `clean` exactly."""
    start = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)

    def predict(x, t):
        return sampler.to_epsilon(LINEAR, x, np.full_like(x, clean), t)

    other = np.full((3, 5, 4), reference, np.float32)
    return list(
        enhance(
            LINEAR,
            predict,
            lambda x, t: np.full_like(x, weight),
            other,
            start,
            sampler.spaced(1000, steps),
            limit=limit,
            known=known,
        )
    )


@pytest.mark.parametrize(("weight", "limit"), [(0.0, 0.0), (0.0, 0.3), (0.2, 0.3), (0.5, 0.3), (1.0, 0.0)])
@pytest.mark.parametrize("steps", [1, 5, 50])
def test_the_end_is_the_fusion(weight, limit, steps):
    kept = max(weight, limit)
    looks = run(weight, limit, steps=steps)
    assert len(looks) == steps and looks[0].t == 1000
    assert np.allclose(looks[-1].sample, (1 - kept) * 0.6 + kept * -0.4, atol=1e-4)
    for look in looks:
        assert np.allclose(look.weight, kept)
        assert np.allclose(look.diffused, 0.6, atol=0.02)


def test_epsilon_is_derived_again_from_the_fused_image():
    first, second = run(0.5, 0.0, steps=2)
    start = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    bar, onward = LINEAR.bar[first.t - 1], LINEAR.bar[second.t - 1]
    epsilon = (start - np.sqrt(bar) * 0.1) / np.sqrt(1 - bar)
    assert np.allclose(first.sample, np.sqrt(onward) * 0.1 + np.sqrt(1 - onward) * epsilon, atol=1e-5)


def test_known_pixels_stay_what_they_are():
    known = np.zeros((1, 5, 4), bool)
    known[0, 2] = True
    last = run(0.0, 0.0, known=known)[-1]
    assert np.allclose(last.sample[..., 2, :], -0.4, atol=1e-6)
    assert np.allclose(last.sample[..., 1, :], 0.6, atol=1e-5)
