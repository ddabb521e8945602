"""Noising and what networks say of it, in torch for a batch of times: as the samplers have it for one."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.models.diffusion import sampler, schedules, torch_forward  # noqa: E402

TIMES = (1, 40, 77)


@pytest.mark.parametrize("predicts", sampler.PARAMETERISATIONS)
def test_a_batch_is_what_the_samplers_say_of_each_time(predicts) -> None:
    schedule, random = schedules.make("cosine", 100), np.random.default_rng(0)
    clean, noise, said = random.standard_normal((3, len(TIMES), 2, 4, 5)).astype(np.float32)
    bar = torch.tensor([schedule.bar[t - 1] for t in TIMES], dtype=torch.float32)
    images = [torch.from_numpy(array) for array in (clean, noise, said)]
    x = torch_forward.forward(*images[:2], bar)
    found = torch_forward.to_clean(x, images[2], bar, predicts)
    again = torch_forward.to_clean(x, torch_forward.wanted(*images[:2], bar, predicts), bar, predicts)
    assert torch.allclose(again, images[0], atol=1e-5)
    for index, t in enumerate(TIMES):
        noised = sampler.forward(schedule, clean[index], noise[index], t)
        assert np.allclose(x[index], noised, atol=1e-6)
        expected = sampler.to_clean(schedule, noised, said[index], t, predicts)
        assert np.allclose(found[index], expected, atol=1e-5)
