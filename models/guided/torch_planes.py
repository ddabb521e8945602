"""The filters of `models.planes` and the membrane on torch tensors, many planes at once, on any device.

Conventions are OpenCV's, so that both give the same numbers to float32 rounding: compare
`models/planes.py` and `models/classical/membrane.py`, which say what each step is for.
"""

from __future__ import annotations

import time

import cv2
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

from ..classical.membrane import DAMPING, STEP

CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""The four neighbours, down and across."""


def exactly() -> None:
    """Full float32 products on GPUs that would round to fewer bits, and the same ones each time."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


def kernel_time(device: str) -> float:
    """Seconds of a small product on a device.

    Raises:
        RuntimeError: the result is wrong; whatever torch says where it cannot compute there.
    """
    x = torch.arange(4096.0, device=device).reshape(64, 64) / 4096
    (x @ x).cpu()  # the first one pays for start-up
    started = time.perf_counter()
    product = (x @ x).cpu()
    seconds = time.perf_counter() - started
    if not torch.allclose(product, x.cpu() @ x.cpu(), rtol=0.01):
        raise RuntimeError("the kernel's result is wrong")
    return seconds


def _shifted(planes: Tensor, indexes: tuple[Tensor, Tensor]) -> Tensor:
    return planes.index_select(-2, indexes[0]).index_select(-1, indexes[1])


def _around(size: int, reach: int, kind: str, device: torch.device) -> Tensor:
    """Indices of `reach` pixels before, within and behind a line of `size`, by OpenCV's border rules."""
    places = torch.arange(-reach, size + reach, device=device)
    if kind == "replicate":
        return places.clamp(0, size - 1)
    if kind == "mirror":  # the last pixel twice
        places = places % (2 * size)
        return torch.where(places < size, places, 2 * size - 1 - places)
    period = max(2 * size - 2, 1)  # the last pixel once
    places = places % period
    return torch.where(places < size, places, period - places)


def framed(planes: Tensor, reach: int, kind: str) -> Tensor:
    """(n, H + 2 reach, W + 2 reach) planes with a border."""
    height, width = planes.shape[-2:]
    around = (_around(n, reach, kind, planes.device) for n in (height, width))
    rows, columns = around
    return _shifted(planes, (rows, columns))


def neighbours(planes: Tensor) -> Tensor:
    """Sum of the four neighbours; the last pixel repeats beyond the edge."""
    wide = framed(planes, 1, "replicate")
    height, width = planes.shape[-2:]
    parts = [wide[..., 1 + v : 1 + v + height, 1 + u : 1 + u + width] for v, u in CROSS]
    return parts[0] + parts[1] + parts[2] + parts[3]


def blur(planes: Tensor, sigma: float) -> Tensor:
    """Gaussian low-pass of (n, H, W), mirrored at the edge."""
    size = round(8 * sigma + 1) | 1  # OpenCV's for float images
    kernel = torch.as_tensor(cv2.getGaussianKernel(size, sigma, cv2.CV_32F)).ravel().to(planes)
    wide = framed(planes, size // 2, "mirror")[:, None]
    along = F.conv2d(wide, kernel[None, None, None])
    return F.conv2d(along, kernel[None, None, :, None])[:, 0]


def slopes(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel derivatives per pixel, to the right and down."""
    wide = framed(planes, 1, "reflect")
    smooth = wide[..., :-2, :] + 2 * wide[..., 1:-1, :] + wide[..., 2:, :]
    right = (smooth[..., 2:] - smooth[..., :-2]) * 0.125
    smooth = wide[..., :-2] + 2 * wide[..., 1:-1] + wide[..., 2:]
    return right, (smooth[..., 2:, :] - smooth[..., :-2, :]) * 0.125


def block_means(planes: Tensor, factor: int) -> Tensor:
    """Means of `factor` squared blocks of (n, H, W); the size must divide."""
    return F.avg_pool2d(planes[:, None], factor)[:, 0]


def enlarge(planes: Tensor, factor: int) -> Tensor:
    """`factor` times the size, bilinear between the centres of the pixels."""
    scale = float(factor)
    return F.interpolate(planes[:, None], scale_factor=scale, mode="bilinear", align_corners=False)[:, 0]


def pad_to(planes: Tensor, factor: int, repeat: bool = True) -> Tensor:
    """Lines added below and to the right until the size divides: the last one repeated, or zeros."""
    bottom, right = -planes.shape[-2] % factor, -planes.shape[-1] % factor
    if not (bottom or right):
        return planes
    mode = "replicate" if repeat else "constant"
    return F.pad(planes[:, None], (0, right, 0, bottom), mode=mode)[:, 0]


class MaskPyramid:
    """What a mask (H, W) of known pixels says at every scale, as in `classical.membrane`."""

    def __init__(self, known: Tensor) -> None:
        self.known = known
        self.shares: list[tuple[Tensor, Tensor]] = []
        some = known[None]
        while not bool(some.all()) and max(some.shape) > 1:
            share = block_means(pad_to(some.float(), 2, repeat=False), 2)
            some = share > 0
            self.shares.append((torch.where(some, 1 / share, 0.0), ~some))
        self.free = [(~known).float()[None]]
        while min(self.free[-1].shape[1:]) > 2 and bool(self.free[-1].any()):
            share = block_means(pad_to(self.free[-1], 2), 2)
            self.free.append((share > 0.99).float())


def cascade(images: Tensor, pyramid: MaskPyramid, sweeps: int = 4) -> Tensor:
    """Membranes through the known pixels of (n, H, W) images, close to the exact ones."""
    if bool(pyramid.known.all()) or not bool(pyramid.known.any()):
        return images.clone()
    levels = [torch.where(pyramid.known, images, 0.0)]
    for factor, _ in pyramid.shares:
        levels.append(block_means(pad_to(levels[-1], 2, repeat=False), 2) * factor)
    masks = [~pyramid.known[None], *(unknown for _, unknown in pyramid.shares)]
    values = levels[-1]
    for finer, unknown in zip(reversed(levels[:-1]), reversed(masks[:-1]), strict=True):
        height, width = finer.shape[1:]
        values = torch.where(unknown, enlarge(values, 2)[:, :height, :width], finer)
        for _ in range(sweeps):
            moved = (DAMPING / 4) * neighbours(values) + (1 - DAMPING) * values
            values = torch.where(unknown, moved, values)
    return values


def _negative_laplacian(values: Tensor) -> Tensor:
    return 4 * values - neighbours(values)


def _cycle(levels: list[Tensor], load: Tensor, sweeps: int = 2) -> Tensor:
    free = levels[0]
    height, width = free.shape[1:]
    correction = STEP * load

    def swept(correction: Tensor) -> Tensor:
        return free * (correction + STEP * (load - _negative_laplacian(correction)))

    for _ in range(sweeps - 1):
        correction = swept(correction)
    if len(levels) > 1 and bool(levels[1].any()):
        rest = free * (load - _negative_laplacian(correction))
        coarse = 4 * levels[1] * block_means(pad_to(rest, 2), 2)
        up = enlarge(_cycle(levels[1:], coarse, sweeps), 2)[:, :height, :width]
        correction = correction + free * up
    for _ in range(sweeps):
        correction = swept(correction)
    return correction


def _dots(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum((1, 2), keepdim=True)


def solve(images: Tensor, pyramid: MaskPyramid, cycles: int, tolerance: float = 1e-4) -> Tensor:
    """The membranes through the known pixels of (n, H, W) images; see `classical.membrane.solve`.

    Every image stops by itself, as it would alone.
    """
    values = cascade(images, pyramid)
    if not cycles or bool(pyramid.known.all()) or not bool(pyramid.known.any()):
        return values
    unknown = pyramid.free[0]
    rest = -unknown * _negative_laplacian(values)
    goal = tolerance * _dots(rest, rest).sqrt()
    direction, before = torch.zeros_like(values), torch.zeros_like(values)
    product = torch.ones_like(goal)
    going = torch.ones_like(goal, dtype=torch.bool)
    for _ in range(cycles):
        going = going & (_dots(rest, rest).sqrt() > goal)
        if not bool(going.any()):
            break
        correction = _cycle(pyramid.free, rest)
        slope = torch.where(going, _dots(correction, rest - before) / product, 0.0).clamp(min=0)
        direction = slope * direction + correction
        image_of = unknown * _negative_laplacian(direction)
        product = _dots(correction, rest)
        curvature = _dots(direction, image_of)
        going = going & (curvature > 0) & (product > 0)
        step = torch.where(going, _dots(direction, rest) / curvature, 0.0)
        before = rest
        values = values + step * direction
        rest = rest - step * image_of
    return values
