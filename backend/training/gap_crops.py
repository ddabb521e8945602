"""Gaps as `mend` learns from them, as Diffusion Enhancement's samples: one band, in its own spread.

The condition is the band with `guided`'s prediction pasted into the gap, and the gap's mask;
the reference is the same image; what is scored is the hidden pixels whose truth is known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.mend.inputs import BASE
from ..errors import TerramendError
from ..watch import Watch
from . import mend_samples
from .patches import averaged

PRIOR, SPREAD, GAP = 0, 1, 4
"""Channels of the stored samples; see `models.mend.inputs.stack`."""


def source(
    config: dict[str, Any], data: Path, watch: Watch
) -> Callable[[int, int, int, int, int], dict[str, torch.Tensor]]:
    """(seed, step, count, size, shrink) to a batch; samples are made first where they are missing.

    Raises:
        TerramendError: `training.config` for a layout that gaps do not fit, `training.empty` where every
            place is held out.
    """
    if config["network"]["bands"] != 1 or not config["network"]["mask"]:
        why = "use=fill goes band by band: network.bands must be 1 and network.mask true"
        raise TerramendError("training.config", name="de", why=why)
    store = mend_samples.stored(config["samples"], data, watch)
    learnt = np.flatnonzero(~store.held_out())
    if not len(learnt):
        raise TerramendError("training.empty", path=str(data), wanted=mend_samples.WANTED)
    assert store.base.shape[1] == BASE  # noqa: S101 (made by this version)

    def draw(seed: int, step: int, count: int, size: int, shrink: int) -> dict[str, torch.Tensor]:
        random = np.random.default_rng([seed, step])
        chosen = np.sort(random.choice(learnt, count, replace=len(learnt) < count))
        side = min(size * shrink, store.base.shape[-1]) // shrink * shrink
        row, column = random.integers(0, store.base.shape[-1] - side + 1, 2)
        cut = (chosen, slice(None), slice(row, row + side), slice(column, column + side))
        base, target = store.base[cut].astype(np.float32), store.target[cut].astype(np.float32)
        turn, mirror = int(random.integers(4)), random.random() < 0.5
        base, target = (np.rot90(a, turn, (2, 3))[..., :: -1 if mirror else 1] for a in (base, target))
        prior = base[:, PRIOR : PRIOR + 1] / 2  # network units are twice the band's spread
        error = target[:, :1] * np.exp(2 * base[:, SPREAD : SPREAD + 1]) / 2
        clip = config["diffusion"]["clip"]
        images = {
            "condition": np.concatenate([prior, base[:, GAP : GAP + 1]], 1),
            "reference": prior,
            "clean": np.clip(prior + error, -clip, clip),
            "scored": target[:, 1:],
        }
        return {name: torch.from_numpy(averaged(image, shrink)) for name, image in images.items()}

    return draw
