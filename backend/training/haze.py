"""Thin cloud laid over clear patches, as pairs to learn from where real ones are few.

The layer is white and partly transparent: y = (1 - a) x + a L. Its opacity a is fractal noise
cut off at a random level, and grows towards short waves as haze does; L is a random brightness.
It has no shadow and no texture of its own, so it teaches thin cloud only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.base import Floats
from ...models.diffusion.scaling import reflected, shown
from ..datasets import catalog, paired
from ..errors import TerramendError
from .pairs import Draw, pair_bank
from .patches import averaged, clear_bank

Land = Callable[[int, int, int, int], Floats]
"""(seed, step, count, size) to (count, C, size, size) clear reflectance."""
GREEN = 550.0
"""Nanometres at which opacity is drawn."""


def source(part: dict[str, Any], data: Path, smallest: int) -> Draw:
    """What the `data` part of a configuration describes: pairs, some of them made here.

    `wavelengths` names the bands, `without` the data sets that are left out, and `haze` the share
    of made pairs, 0 to 1.

    Raises:
        TerramendError: `training.pairs` or `training.empty`, where nothing fits; `training.config`.
    """
    bands, without, share = part["wavelengths"], part.get("without", ()), float(part.get("haze", 0))
    if not 0 <= share <= 1:
        raise TerramendError("training.config", name="data", why=f"haze lies between 0 and 1, not {share:g}")
    real = pair_bank(data, bands, without).draw if share < 1 else None
    if real is not None and share <= 0:
        return real
    return mixed(real, _land(real, data, bands, smallest, without), share, bands)


def _land(
    real: Draw | None, data: Path, bands: Sequence[float], smallest: int, without: Sequence[str]
) -> Land:
    """What made cloud is laid over: clear scenes, or where there are none, the clear images of the pairs.

    Folders of pairs are no scenes: of pairs in one folder only those on the first one's grid would be read.
    """
    pairs = [] if real is None else paired.find(data)
    images = [path.relative_to(data).parts for pair in pairs for path in (*pair.cloudy, *pair.clear)]
    folders = {parts[0] if len(parts) > 1 else "." for parts in images} - catalog.READERS.keys()
    try:
        return clear_bank(data, bands, smallest, without=(*without, *folders)).draw
    except TerramendError as error:
        if error.code != "training.empty" or real is None:
            raise

    def draw(seed: int, step: int, count: int, size: int) -> Floats:
        _, clear, _ = real(seed, step, count, size)
        return reflected(clear)

    return draw


def fractal(random: np.random.Generator, size: int, power: float) -> NDArray[np.float64]:
    """(size, size) noise of mean 0 and spread 1 whose spectral amplitude falls by frequency ** -power."""
    frequency = np.hypot(np.fft.fftfreq(2 * size)[:, None], np.fft.rfftfreq(2 * size)[None])
    frequency[0, 0] = np.inf
    phases = np.fft.rfft2(random.standard_normal((2 * size, 2 * size)))
    field = np.fft.irfft2(phases * frequency**-power)[:size, :size]  # the double size: no repeated edges
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9))


def veiled(clear: Floats, wavelengths: Sequence[float], random: np.random.Generator) -> Floats:
    """(C, S, S) reflectance under a random layer of thin cloud; values stay in 0..1."""
    field = fractal(random, clear.shape[-1], random.uniform(1.5, 2.4))
    opacity = np.clip(random.uniform(0.1, 0.4) * (field - random.uniform(-2.0, 1.0)), 0, 0.92)
    colour = (np.asarray(wavelengths) / GREEN) ** -random.uniform(0, 1)
    through = (1 - opacity)[None] ** colour[:, None, None]
    light = random.uniform(0.35, 0.9) * (1 + 0.03 * random.standard_normal(len(clear)))
    return np.asarray(np.clip(through * clear + (1 - through) * light[:, None, None], 0, 1), np.float32)


def mixed(real: Draw | None, clear: Land, share: float, wavelengths: Sequence[float]) -> Draw:
    """Draws of which about `share` are clear patches with a layer over them, and the rest `real`."""

    def draw(
        seed: int, step: int, count: int, size: int, shrink: int = 1
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        random = np.random.default_rng([seed, step, 1])
        made = count if real is None else int(random.binomial(count, share))
        batches = [] if real is None or made == count else [real(seed, step, count - made, size, shrink)]
        if made:
            truth = clear(seed, step, made, size * shrink)
            cloudy = np.stack([veiled(image, wavelengths, random) for image in truth])
            pair = [averaged(shown(images), shrink) for images in (cloudy, truth)]
            batches.append((pair[0], pair[1], np.ones((made, 1, size, size), bool)))
        first, second, known = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return first, second, known

    return draw
