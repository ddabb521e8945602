"""`aligndiff-sd15`: AlignDiff in torch, of a folder in Stable Diffusion's layout, on a GPU in half precision.

The light environment runs graphs instead (`model`); the sampler is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..base import Floats
from ..diffusion import schedules
from ..diffusion.torch_arrays import back, precision_of, there
from ..values import folder_or_hub
from . import network_store, tokens
from .model import AlignDiff, assemble
from .network import AlignDiff as Modules


@dataclass(frozen=True)
class Torch:
    """The networks as torch modules; see `sampling.Networks`."""

    modules: Modules
    vocabulary: tokens.Vocabulary
    schedule: schedules.Schedule
    device: str = "cpu"
    predicts: str = "epsilon"
    weights_sha256: str | None = None

    @property
    def bands(self) -> int:
        """See `sampling.Networks`."""
        return self.modules.layout.bands

    @property
    def factor(self) -> int:
        """See `sampling.Networks`."""
        return self.modules.layout.factor

    @property
    def multiple(self) -> int:
        """See `sampling.Networks`."""
        return self.modules.layout.multiple

    def encode(self, image: Floats) -> Floats:
        """See `sampling.Networks`."""
        with torch.no_grad():
            return back(self.modules.encode(self._there(image)))

    def decode(self, latents: Floats) -> Floats:
        """See `sampling.Networks`; one image at a time, which is what memory allows at full size."""
        with torch.no_grad():
            return np.concatenate([back(self.modules.decode(self._there(one[None]))) for one in latents])

    def context(self, text: str, place: Floats) -> Floats:
        """See `sampling.Networks`."""
        ids = torch.from_numpy(self.vocabulary.encode(text)[None]).to(self.device)
        with torch.no_grad():
            return back(self.modules.context(ids, self._there(place[None])))

    def denoise(self, x: Floats, t: int, context: Floats, hint: Floats, prior: Floats) -> Floats:
        """See `sampling.Networks`."""
        count = len(x)
        given = (self._there(part).expand(count, *part.shape[1:]) for part in (context, hint, prior))
        times = torch.full((count,), float(t), device=self.device)
        with torch.no_grad():
            return back(self.modules.denoise(self._there(x), times, *given))

    def _there(self, array: Floats) -> torch.Tensor:
        return there(array, self.device, self.modules.unet.dtype)


def load(folder: str, device: str = "cpu", precision: str = "") -> Torch:
    """The networks of a folder or a hub's id; half precision on a GPU unless told otherwise.

    Raises:
        ValueError: no such folder or hub, or an unknown precision.
    """
    kind = precision_of(precision, device)
    try:
        modules, vocabulary = network_store.pretrained(folder, kind=kind)
    except OSError as error:
        raise ValueError(str(error).split("\n")[0]) from None
    modules.requires_grad_(False).eval().to(device)
    return Torch(modules, vocabulary, schedules.make("scaled-linear", 1000), device)


def create(
    quality: str,
    seed: int,
    weights: str = "",
    prior: str = "guided",
    samples: str = "1",
    steps: str = "",
    prompt: str = "",
    region: str = "",
    guidance: str = "0",
    precision: str = "",
    device: str = "cpu",
) -> AlignDiff:
    """The reconstructor of `weights`, a folder in Stable Diffusion's layout or a hub's id.

    Raises:
        ValueError: none was named, or as `load` and `model.assemble`.
    """
    networks = load(folder_or_hub(weights), device, precision)
    return assemble(networks, (), quality, seed, prior, samples, steps, prompt, region, guidance)
