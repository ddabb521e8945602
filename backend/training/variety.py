"""More cases than the data hold: made-up second dates, abrupt change, spoilt surroundings of a gap.

The truth under the gap is never touched; what changes is what the method is given to see, as
other dates and other skies would change it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.base import Flags, Floats, Reference
from ..datasets.gaps import blob
from ..evaluation.cases import Sample

MOST_DATES = 6


def varied(given: Sample, random: np.random.Generator) -> Sample:
    """The sample, perhaps with second dates where it had none, change in its dates, a spoilt rim."""
    tile = given.tile
    if not tile.references and random.random() < 0.6:
        count = int(random.choice([1, 1, 2, 2, 3, 4, MOST_DATES]))
        dates = tuple(_second_date(given, random) for _ in range(count))
        tile = replace(tile, references=dates, terrain=None, sar=None)
    if tile.references and random.random() < 0.4:
        tile = replace(tile, references=_changed(tile.references, given.scored.shape, random))
    hidden = np.asarray(tile.gaps.any(0))
    if hidden.mean() > 0.02 and _thick(hidden) and random.random() < 0.3:
        tile = replace(tile, image=_spoilt(tile.image, hidden, random))
    return replace(given, tile=tile)


def _thick(hidden: Flags) -> bool:
    """Whether clouds and their shadows could have made the gap: not stripes, not single pixels."""
    inner = cv2.erode(hidden.astype(np.uint8), np.ones((15, 15), np.uint8))
    return bool(inner.any())


def _smooth(shape: tuple[int, int], random: np.random.Generator, cells: int = 4) -> Floats:
    """(H, W) a random surface of mean about 0 and deviation about 1."""
    coarse = random.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _moved(planes: Floats, random: np.random.Generator) -> Floats:
    """Bands shifted together by up to a pixel, and perhaps a little blurred."""
    shift = np.eye(2, 3)
    shift[:, 2] = random.uniform(-1, 1, 2) * (random.random() < 0.7)
    sigma = random.uniform(0.3, 1.0) if random.random() < 0.5 else 0.0
    out = np.empty_like(planes)
    for plane, place in zip(planes, out, strict=True):
        moved = cv2.warpAffine(
            plane, shift, plane.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        place[...] = cv2.GaussianBlur(moved, (0, 0), sigma) if sigma else moved
    return out


def _second_date(given: Sample, random: np.random.Generator) -> Reference:
    """Another date of the truth: bands mixed, plants grown in places, haze, noise, shift, its own cloud."""
    truth = given.truth
    bands, shape = len(truth), given.scored.shape
    known = np.asarray(np.isfinite(truth).all(0))
    values = truth[:, known].astype(np.float64)
    middle, scale = values.mean(1), np.maximum(values.std(1), 1e-3)
    z = np.where(known, (truth - middle[:, None, None]) / scale[:, None, None], 0).astype(np.float32)
    mixing = np.diag(np.exp(random.normal(0, 0.3, bands)))
    mixing += random.normal(0, random.uniform(0.02, 0.3), (bands, bands)) / np.sqrt(bands)
    other = np.einsum("ij,jhw->ihw", mixing.astype(np.float32), z)
    # What grows or is cut depends on what it is: a soft class by a random direction of the spectrum.
    for _ in range(int(random.integers(0, 4))):
        index = np.einsum("b,bhw->hw", random.normal(0, 1, bands).astype(np.float32), z)
        index += random.uniform(0, 1) * _smooth(shape, random, int(random.integers(3, 12)))
        member = 1 / (1 + np.exp(np.clip(-3 * (index - random.normal()), -30, 30)))
        other += random.normal(0, 0.6, (bands, 1, 1)).astype(np.float32) * member
    haze = random.uniform(0, 0.3, 2)
    other = other * (1 + np.float32(haze[0]) * _smooth(shape, random))
    other += np.float32(haze[1]) * _smooth(shape, random)
    other = _moved(other.astype(np.float32), random)
    noise = np.exp(random.uniform(np.log(0.01), np.log(0.3)))
    other += (noise * random.standard_normal(other.shape)).astype(np.float32)
    level = middle * np.exp(random.normal(0, 0.2, bands))
    image = (other * scale[:, None, None] + level[:, None, None]).astype(np.float32)
    edge = cv2.dilate((~known).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    gone = edge & ~known if edge.all() else edge
    if random.random() < 0.5:
        cloud = np.rot90(np.asarray(given.tile.gaps.any(0)), 2)
        gone = gone | np.roll(cloud, tuple(random.integers(0, side) for side in shape), (0, 1))
    image[:, gone] = np.nan
    return Reference(image, int(random.integers(-400, 400)), "made up")


def _changed(
    references: tuple[Reference, ...], shape: tuple[int, int], random: np.random.Generator
) -> tuple[Reference, ...]:
    """Regions where the other dates, or most of them, show something else than the target does."""
    images = [reference.image.copy() for reference in references]
    for _ in range(int(random.integers(1, 4))):
        region = blob(shape, float(random.uniform(0.02, 0.15)), int(random.integers(2**31)))
        region = np.roll(region, tuple(random.integers(0, side) for side in shape), (0, 1))
        away = tuple(int(random.integers(side // 4, side - side // 4)) for side in shape)
        way, kept = random.integers(3), random.random() < 0.3
        gain, strength = random.uniform(0.3, 1.6), float(random.uniform(0.4, 1.0))
        for image in images:
            if kept and random.random() < 0.5:
                continue
            if way == 0:
                new = np.roll(image, away, (1, 2))[:, region]
            elif way == 1:
                new = image[:, region] * np.float32(gain)
            else:
                level = np.nanmean(image, (1, 2)) if np.isfinite(image).any() else np.zeros(len(image))
                new = np.repeat((level * gain)[:, None], int(region.sum()), 1)
            old = image[:, region]
            mixed = old + np.float32(strength) * (new - old)
            image[:, region] = np.where(np.isfinite(mixed), mixed, old)
    return tuple(replace(r, image=image) for r, image in zip(references, images, strict=True))


def _spoilt(image: Floats, hidden: Flags, random: np.random.Generator) -> Floats:
    """Valid pixels beside the gap under what the mask missed: the cloud's thin edge, a part of its shadow."""
    out: NDArray[np.float32] = image.copy()
    patchy = np.clip(0.5 + _smooth(hidden.shape, random, 6), 0, 1).astype(np.float32)
    if random.random() < 0.7:
        distance = cv2.distanceTransform((~hidden).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        reach, most = random.uniform(1.0, 4.0), random.uniform(0.1, 0.6)
        veil = (most * patchy * np.exp(-distance / reach)).astype(np.float32)
        white = float(random.uniform(0.3, 0.8))
        out += veil * (np.float32(white) - out)
    if random.random() < 0.5:
        drift = tuple(int(step) for step in random.integers(-25, 26, 2))
        shadow = cv2.GaussianBlur(np.roll(hidden, drift, (0, 1)).astype(np.float32), (0, 0), 1.5)
        out *= 1 - np.float32(random.uniform(0.1, 0.5)) * shadow * patchy
    return out
