"""Our schedules and numpy samplers give diffusers' numbers; runs in the full environment."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.models.diffusion import sampler, schedules

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")
diffusers = pytest.importorskip("diffusers")


MEANS, SPREAD, WEIGHTS = np.array([-0.6, 0.5]), 0.25, np.array([0.3, 0.7])


def exact(x: np.ndarray, bar: float) -> np.ndarray:
    """The noise in x_t of a Gaussian mixture, exactly: (x - sqrt(bar) E[x0 | x_t]) / sqrt(1 - bar)."""
    variance, away = bar * SPREAD**2 + 1 - bar, x[..., None] - np.sqrt(bar) * MEANS
    logs = np.log(WEIGHTS) - away**2 / (2 * variance)
    shares = np.exp(logs - logs.max(-1, keepdims=True))
    each = MEANS + np.sqrt(bar) * SPREAD**2 / variance * away
    clean = (shares * each).sum(-1) / shares.sum(-1)
    return np.asarray((x - np.sqrt(bar) * clean) / np.sqrt(1 - bar))


def score(x: np.ndarray, t: int) -> np.ndarray:
    """A smooth stand-in for a network, the same for both sides."""
    return np.tanh(x * 1.3 + 0.1) * (0.5 + t / 2000)


def test_betas() -> None:
    linear = diffusers.DDPMScheduler(beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
    assert np.allclose(linear.alphas_cumprod.numpy(), schedules.make("linear", 1000).bar, rtol=2e-5)
    stable = diffusers.DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    assert np.allclose(stable.alphas_cumprod.numpy(), schedules.make("scaled-linear", 1000).bar, rtol=2e-5)
    cosine = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    assert np.allclose(cosine.betas.numpy(), schedules.cosine(1000), rtol=1e-4, atol=1e-7)
    shifted = diffusers.DDIMScheduler(beta_schedule="linear", rescale_betas_zero_snr=True)
    assert np.allclose(
        shifted.betas.numpy(), schedules.zero_terminal_snr(linear.betas.double().numpy()), atol=2e-5
    )


def trajectories(scheduler, method, eta, parameterisation):
    """The whole loop on both sides with the same noise; diffusers counts t from 0."""
    schedule = schedules.Schedule(*(x.double().numpy() for x in (scheduler.betas, scheduler.alphas_cumprod)))
    rng = np.random.default_rng(0)
    start = rng.standard_normal((1, 2, 8, 8))
    noises = [rng.standard_normal(start.shape) for _ in range(60)]
    times = [int(t) + 1 for t in scheduler.timesteps]
    ours = sampler.run(
        schedule,
        score,
        start,
        times,
        lambda k: noises[k],
        method=method,
        eta=eta,
        parameterisation=parameterisation,
    )
    theirs = torch.from_numpy(start)
    for index, (t, step) in enumerate(zip(scheduler.timesteps, ours)):
        output = torch.from_numpy(score(theirs.numpy(), int(t) + 1))
        extra = {"eta": eta, "variance_noise": torch.from_numpy(noises[index])} if method == "ddim" else {}
        if eta == 0:
            extra = {}
        theirs = scheduler.step(output, t, theirs, **extra).prev_sample
        yield step.sample, theirs.numpy()


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_loop(kind, eta) -> None:
    scheduler = diffusers.DDIMScheduler(
        beta_schedule="linear",
        prediction_type=kind,
        clip_sample=False,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )
    scheduler.set_timesteps(50)
    name = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}[kind]
    for ours, theirs in trajectories(scheduler, "ddim", eta, name):
        assert np.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
def test_dpm_solver_loop(schedule) -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(
        beta_schedule=schedule, beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing", lower_order_final=False,
        euler_at_final=False, final_sigmas_type="zero",
    )  # fmt: skip
    scheduler.set_timesteps(20)
    for ours, theirs in trajectories(scheduler, "dpm++", 0.0, "epsilon"):
        assert np.allclose(ours, theirs, atol=1e-4 * max(1, np.abs(theirs).max()))


def test_ancestral_step_has_the_posterior_mean_and_variance() -> None:
    scheduler = diffusers.DDPMScheduler(
        beta_schedule="linear", clip_sample=False, variance_type="fixed_small"
    )
    schedule = schedules.make("linear", 1000)
    x = np.random.default_rng(1).standard_normal((1, 1, 16, 16))
    for t in (1000, 500, 30):
        quiet, loud = (
            next(
                sampler.run(schedule, score, x, [t, t - 1], lambda k, s=s: np.full(x.shape, s), method="ddpm")
            ).sample
            for s in (0.0, 1.0)
        )
        output = torch.from_numpy(score(x, t))
        torch.manual_seed(0)
        theirs = scheduler.step(output, t - 1, torch.from_numpy(x)).prev_sample.numpy()
        torch.manual_seed(0)
        drawn = torch.randn(x.shape, dtype=torch.float64).numpy()
        assert np.allclose(quiet + (loud - quiet) * drawn, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "steps", "eta"),
    [("ddpm", 1000, 0.0), ("ddim", 50, 0.0), ("ddim", 50, 0.5), ("dpm++", 30, 0.0)],
)
def test_whole_loops_on_a_mixture_whose_score_is_known(method, steps, eta) -> None:
    kinds = {
        "ddpm": (diffusers.DDPMScheduler, {"clip_sample": False, "variance_type": "fixed_small"}),
        "ddim": (diffusers.DDIMScheduler, {"clip_sample": False, "timestep_spacing": "trailing"}),
        "dpm++": (
            diffusers.DPMSolverMultistepScheduler,
            {"timestep_spacing": "trailing", "lower_order_final": False, "final_sigmas_type": "zero"},
        ),
    }
    kind, more = kinds[method]
    scheduler = kind(beta_schedule="linear", beta_start=1e-4, beta_end=0.02, **more)
    scheduler.set_timesteps(steps)
    betas, bars = (x.double().numpy() for x in (scheduler.betas, scheduler.alphas_cumprod))
    schedule = schedules.Schedule(betas, bars)
    start = np.random.default_rng(2).standard_normal((1, 1, 40, 50))
    noises: list[np.ndarray] = []
    theirs = torch.from_numpy(start)
    for t in scheduler.timesteps:
        output = torch.from_numpy(exact(theirs.numpy(), bars[int(t)]))
        torch.manual_seed(int(t))
        drawn = torch.randn(start.shape, dtype=torch.float64)  # what a stochastic step draws itself
        noises.append(drawn.numpy())
        torch.manual_seed(int(t))
        extra = {"eta": eta, "variance_noise": drawn} if method == "ddim" and eta else {}
        theirs = scheduler.step(output, t, theirs, **extra).prev_sample
    run = sampler.run(
        schedule,
        lambda x, t: exact(x, bars[t - 1]),
        start,
        [int(t) + 1 for t in scheduler.timesteps],
        lambda k: noises[k],
        method=method,
        eta=eta,
    )
    *_, last = run
    assert np.abs(last.sample - theirs.numpy()).max() < 1e-4
    near = np.abs(last.sample[..., None] - MEANS).min(-1)
    assert (near < 4 * SPREAD).all() and abs(last.sample.mean() - MEANS @ WEIGHTS) < 0.06
