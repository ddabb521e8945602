"""LaMa: large gaps by fast Fourier convolutions (Suvorov et al. 2022; Chi, Jiang, Mu 2020).

Features are split into a local and a global part. The global one is convolved in the Fourier domain, where
one pixel of a spectrum stands for the whole image; so every layer sees far beyond a gap. Modules are named
as in the published checkpoints (`model.N...`), which therefore load once they are safetensors; here is no
pickle, and the checkpoints' own format is one.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from safetensors.torch import load_file
from torch import Tensor, nn

from ..aligndiff.hint import CLIP
from .network_fill import Filler, places

Pair = tuple[Tensor, Tensor | None]
"""Local and global features; None where there are no global ones."""
GLOBAL = 0.75
"""Share of the features that is global, in the blocks."""


class FourierUnit(nn.Module):
    """A 1x1 convolution of the spectrum's real and imaginary parts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        height, width = x.shape[-2:]
        parts = _spectrum(x)
        said = F.relu(self.bn(self.conv_layer(parts)))
        return _image(said, height, width)


class SpectralTransform(nn.Module):
    """Global features to global ones: a Fourier unit at half the width, with a way around it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = nn.Sequential(nn.Conv2d(inputs, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        narrow = self.conv1(x)
        out: Tensor = self.conv2(narrow + self.fu(narrow))
        return out


class Crossing(nn.Module):
    """A convolution of local and global features into local and global ones."""

    def __init__(
        self, inputs: int, outputs: int, size: int, shares: tuple[float, float], stride: int = 1, pad: int = 0
    ) -> None:
        super().__init__()
        wide_in, wide_out = int(inputs * shares[0]), int(outputs * shares[1])
        near_in, near_out = inputs - wide_in, outputs - wide_out

        def conv(a: int, b: int) -> nn.Module | None:
            if not (a and b):
                return None
            return nn.Conv2d(a, b, size, stride, pad, bias=False, padding_mode="reflect")

        self.convl2l, self.convl2g = conv(near_in, near_out), conv(near_in, wide_out)
        self.convg2l = conv(wide_in, near_out)
        self.convg2g = SpectralTransform(wide_in, wide_out) if wide_in and wide_out else None

    def forward(self, pair: Pair) -> Pair:
        """Local and global features to local and global ones."""
        near, wide = pair
        out_near = self.convl2l(near)  # type: ignore[misc]
        out_wide = self.convl2g(near) if self.convl2g is not None else None
        if wide is not None and self.convg2l is not None:
            out_near = out_near + self.convg2l(wide)
        if wide is not None and self.convg2g is not None:
            out_wide = out_wide + self.convg2g(wide)
        return out_near, out_wide


class Layer(nn.Module):
    """A crossing convolution, normalised, with ReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: int, shares: tuple[float, float], stride: int = 1, pad: int = 0
    ) -> None:
        super().__init__()
        self.ffc = Crossing(inputs, outputs, size, shares, stride, pad)
        wide = int(outputs * shares[1])
        self.bn_l = nn.BatchNorm2d(outputs - wide)
        self.bn_g = nn.BatchNorm2d(wide) if wide else None

    def forward(self, pair: Pair) -> Pair:
        """Local and global features to local and global ones."""
        near, wide = self.ffc(pair)
        near = F.relu(self.bn_l(near))
        return near, (F.relu(self.bn_g(wide)) if wide is not None and self.bn_g is not None else None)


class Block(nn.Module):
    """Two layers, added to what went in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        shares = (GLOBAL, GLOBAL)
        self.conv1 = Layer(width, width, 3, shares, pad=1)
        self.conv2 = Layer(width, width, 3, shares, pad=1)

    def forward(self, pair: Pair) -> Pair:
        """Local and global features to the same shapes."""
        near, wide = self.conv2(self.conv1(pair))
        return near + pair[0], wide if wide is None or pair[1] is None else wide + pair[1]


class Joined(nn.Module):
    """Local and global features as one image."""

    def forward(self, pair: Pair) -> Tensor:
        """To (N, C, H, W)."""
        near, wide = pair
        return near if wide is None else torch.cat([near, wide], 1)


class Begin(nn.Module):
    """An image as local features alone."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(3)

    def forward(self, x: Tensor) -> Pair:
        """(N, C, H, W) to local features with three pixels more on each side."""
        return self.pad(x), None


class Lama(Filler):
    """The generator. Published: 3 bands, width 64, 3 levels, 18 blocks: 51.0 M parameters.

    Args:
        width: channels of the first level; they double with each. levels: halvings. blocks: at the bottom.
        colours: copies of a single band that it reads; their mean is the band again.
    """

    def __init__(
        self,
        bands: int,
        given: tuple[str, ...] = ("observed", "gap"),
        width: int = 64,
        levels: int = 3,
        blocks: int = 18,
        colours: int = 1,
    ) -> None:
        super().__init__(bands, given)
        self.multiple, self.colours = 2 ** (levels + 1), colours  # one pixel at the bottom has no mirror
        shown = bands * colours
        drawn = {*places("gap", bands), *places("observed", bands)}
        more = [place for place in self.chosen if place not in drawn]
        parts: list[nn.Module] = [Begin(), Layer(shown + 1 + len(more), width, 7, (0, 0))]
        self.more = more
        for level in range(levels):
            last = GLOBAL if level == levels - 1 else 0.0
            parts.append(Layer(width * 2**level, width * 2 ** (level + 1), 3, (0, last), stride=2, pad=1))
        parts += [Block(width * 2**levels) for _ in range(blocks)]
        parts.append(Joined())
        for level in reversed(range(levels)):
            here = width * 2**level
            parts += [
                nn.ConvTranspose2d(2 * here, here, 3, stride=2, padding=1, output_padding=1),
                nn.BatchNorm2d(here),
                nn.ReLU(),
            ]
        parts += [nn.ReflectionPad2d(3), nn.Conv2d(width, shown, 7), nn.Sigmoid()]
        self.model = nn.Sequential(*parts)

    def forward(self, hint: Tensor) -> Tensor:
        """A hint to (N, K, H, W) in network units; inside, images are 0 to 1 as in the published network."""
        gap, observed = self.part(hint, "gap"), self.part(hint, "observed")
        image = (observed / CLIP + 1) / 2 * (1 - gap)
        if self.colours > 1:
            image = image.expand(-1, self.colours, -1, -1)
        said = self.model(torch.cat([image, gap, hint[:, self.more]], 1))
        if self.colours > 1:
            said = said.mean(1, keepdim=True)
        return (2 * said - 1) * CLIP

    def take(self, path: Path) -> None:
        """Load published weights from safetensors, whose names may begin with `generator.`.

        Raises:
            OSError, SafetensorError, ValueError, RuntimeError: no such file, no safetensors, other names,
                other shapes.
        """
        found = {name.removeprefix("generator."): value for name, value in load_file(path).items()}
        kept = {k: v for k, v in found.items() if k.startswith("model.") and "num_batches" not in k}
        wanted = {k for k in self.state_dict() if "num_batches" not in k}
        apart = sorted(wanted ^ kept.keys())
        if apart:
            raise ValueError(f"{len(apart)} names differ, {apart[0]} is the first")
        self.load_state_dict(kept, strict=False)


def _spectrum(x: Tensor) -> Tensor:
    """Real FFT over both axes as (N, 2 C, H, W/2 + 1), real and imaginary parts of a channel side by side."""
    if torch.onnx.is_in_onnx_export():
        real, imaginary = _transformed(x)
    else:
        found = torch.fft.rfftn(x.float(), dim=(-2, -1), norm="ortho")
        real, imaginary = found.real, found.imag
    n, c, h, w = real.shape
    return torch.stack([real, imaginary], 2).reshape(n, 2 * c, h, w).to(x.dtype)


def _image(parts: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `_spectrum`."""
    n, c, h, w = parts.shape
    split = parts.reshape(n, c // 2, 2, h, w)
    real, imaginary = split[:, :, 0].float(), split[:, :, 1].float()
    if torch.onnx.is_in_onnx_export():
        return _restored(real, imaginary, width).to(parts.dtype)
    out = torch.fft.irfftn(torch.complex(real, imaginary), s=(height, width), dim=(-2, -1), norm="ortho")
    return out.to(parts.dtype)


def _waves(size: Tensor | int, count: Tensor | int, like: Tensor) -> tuple[Tensor, Tensor]:
    """(count, size) cosines and sines of the first `count` frequencies, orthonormal."""
    angle = torch.arange(count, device=like.device)[:, None] * torch.arange(size, device=like.device)[None]
    turned = torch.remainder(angle, size).to(like.dtype) * (2 * math.pi / size)
    scale = torch.rsqrt(torch.ones((), device=like.device, dtype=like.dtype) * size)
    return turned.cos() * scale, turned.sin() * scale


def _transformed(x: Tensor) -> tuple[Tensor, Tensor]:
    """The real FFT by products with waves: what a graph can hold at free sizes."""
    height, width = x.shape[-2:]
    cosine, sine = _waves(width, width // 2 + 1, x)
    real, imaginary = x @ cosine.T, -(x @ sine.T)
    cosine, sine = _waves(height, height, x)
    return cosine @ real + sine @ imaginary, cosine @ imaginary - sine @ real


def _restored(real: Tensor, imaginary: Tensor, width: int) -> Tensor:
    """The inverse of `_transformed` for an even width."""
    cosine, sine = _waves(real.shape[-2], real.shape[-2], real)
    real, imaginary = cosine @ real - sine @ imaginary, cosine @ imaginary + sine @ real
    count = real.shape[-1]
    cosine, sine = _waves(width, count, real)
    # Frequencies but the first and the last stand for their mirror images too.
    index = torch.arange(count, device=real.device)
    twice = torch.where((index == 0) | (index == count - 1), 1.0, 2.0).to(real.dtype)
    return (real * twice) @ cosine - (imaginary * twice) @ sine
