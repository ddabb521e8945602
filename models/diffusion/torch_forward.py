"""The forward process in torch, a time for each image of a batch, and what networks say of it.

As `sampler.forward` and `sampler.to_clean`, which take one time. `bar` is alpha-bar, (N,).
"""

from __future__ import annotations

from torch import Tensor


def shares(bar: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha-bar) and sqrt(1 - alpha-bar), (N, 1, 1, 1)."""
    share = bar[:, None, None, None]
    return share.sqrt(), (1 - share).sqrt()


def forward(clean: Tensor, noise: Tensor, bar: Tensor) -> Tensor:
    """(N, C, H, W) noised."""
    signal, rest = shares(bar)
    return signal * clean + rest * noise


def wanted(clean: Tensor, noise: Tensor, bar: Tensor, predicts: str) -> Tensor:
    """What a network should say: the noise (`epsilon`), the clean image (`x0`) or the velocity (`v`)."""
    if predicts != "v":
        return noise if predicts == "epsilon" else clean
    signal, rest = shares(bar)
    return signal * noise - rest * clean


def to_clean(x: Tensor, said: Tensor, bar: Tensor, predicts: str) -> Tensor:
    """The x0 that what a network says at `x` stands for."""
    if predicts == "x0":
        return said
    signal, rest = shares(bar)
    return signal * x - rest * said if predicts == "v" else (x - rest * said) / signal
