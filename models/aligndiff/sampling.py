"""How AlignDiff fills a window: latents of the prior's fill are noised and denoised, in numpy.

The paper names the settings of a diffusers pipeline (DDIM, 50 steps, strength 0.9, guidance scale 1.0, eta
1.0) but not how the mask enters. Here the fill of our own prior is encoded and noised to 90 %; at every
step the known latents take the place of what the network says of them, so epsilon, which is derived
from x0 again, noises them anew as the sampler goes on; the caller pastes the observed pixels, which
therefore never pass through the autoencoder. Guidance scale 1 means that there is no unconditional branch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..base import Flags, Floats
from ..diffusion import sampler
from ..diffusion.schedules import Schedule
from .hint import CLIP, latent_gap

LATE = 1 / 3
"""The last part of the steps, in which the surroundings' statistics guide."""


@dataclass(frozen=True)
class Preset:
    """Settings of the sampler.

    Attributes:
        method: of `sampler.METHODS`. strength: share of the steps that are taken, to the nearest,
            and so of the noise that the start gets. eta: DDIM's share of fresh noise.
    """

    method: str
    steps: int
    strength: float = 0.9
    eta: float = 0.0


PAPER = Preset("ddim", 50, 0.9, 1.0)
PRESETS = {"fast": Preset("dpm++", 4), "default": Preset("dpm++", 8), "best": PAPER}


class Networks(Protocol):
    """AlignDiff's networks, whatever runs them.

    Attributes:
        bands: that are drawn together. factor: pixels of a latent's side. multiple: what heights and
            widths divide by. predicts: `epsilon`, `x0` or `v`. weights_sha256: of their files, or None.
    """

    @property
    def bands(self) -> int: ...  # noqa: D102

    @property
    def factor(self) -> int: ...  # noqa: D102

    @property
    def multiple(self) -> int: ...  # noqa: D102

    @property
    def schedule(self) -> Schedule: ...  # noqa: D102

    @property
    def predicts(self) -> str: ...  # noqa: D102

    @property
    def weights_sha256(self) -> str | None: ...  # noqa: D102

    def encode(self, image: Floats) -> Floats:
        """(N, K, H, W) in network units to latents (N, C, h, w)."""

    def decode(self, latents: Floats) -> Floats:
        """The inverse of `encode`."""

    def context(self, text: str, place: Floats) -> Floats:
        """A prompt and (NUMBERS,) numbers of place and day to (1, L, D)."""

    def denoise(self, x: Floats, t: int, context: Floats, hint: Floats, prior: Floats) -> Floats:
        """What the network says of latents at time t; context, hint and prior are those of one window."""


def generate(
    networks: Networks,
    image: Floats,
    gap: Flags,
    hint: Floats,
    context: Floats,
    noise: Callable[[int], Floats],
    preset: Preset,
    guidance: float = 0.0,
) -> Floats:
    """(N, K, H, W) images in network units; only the gap of them is worth reading.

    Args:
        image: (K, H, W) with the prior's fill in the gap; sizes are multiples of `networks.multiple`.
        gap: (H, W). hint: (channels, H, W). noise: the n-th field, (N, C, h, w).
        guidance: 0 to 1, how far the gap's latents are drawn towards the mean and spread of the known
            ones in the last third of the steps.
    """
    prior = networks.encode(image[None])
    hidden = latent_gap(gap, networks.factor)
    times = sampler.spaced(networks.schedule.steps, preset.steps, preset.strength)
    first = noise(0)
    start = sampler.forward(networks.schedule, np.broadcast_to(prior, first.shape), first, times[0])
    late = times[-max(1, round(LATE * len(times))) :]

    def denoise(x: Floats, t: int) -> Floats:
        return networks.denoise(x, t, context, hint[None], prior)

    def fuse(clean: Floats, sample: Floats, t: int) -> Floats:
        if guidance and t in late:
            clean = drawn_towards(clean, prior[0], hidden, guidance)
        return np.where(hidden, clean, prior).astype(np.float32)

    *_, last = sampler.run(
        networks.schedule,
        denoise,
        start.astype(np.float32),
        times,
        lambda step: noise(step + 1),
        method=preset.method,
        eta=preset.eta,
        parameterisation=networks.predicts,
        fuse=fuse,
    )
    # What the autoencoder loses of the prior itself is given back.
    lost = image - networks.decode(prior)
    return np.clip(networks.decode(last.sample) + lost, -CLIP, CLIP)


def drawn_towards(clean: Floats, around: Floats, hidden: Flags, share: float) -> Floats:
    """Latents whose mean and spread per channel in the gap lie `share` of the way to those around it."""
    if hidden.all():
        return clean
    out = clean.copy()
    aim = around[:, ~hidden]
    inside = clean[..., hidden]  # (N, C, n)
    middle, spread = inside.mean(-1, keepdims=True), inside.std(-1, keepdims=True)
    there = (inside - middle) / np.maximum(spread, 1e-6) * aim.std(-1)[:, None] + aim.mean(-1)[:, None]
    out[..., hidden] = inside + np.float32(share) * (there - inside)
    return out
