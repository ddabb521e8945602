"""`de` from folders of weights: one pair of networks for gaps, one for thin cloud."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import registry
from ..base import Prediction, Reconstructor, SamplerStep, Tile
from ..diffusion import schedules
from ..onnx import session
from ..rivals.model import Remover
from ..values import share, whole
from ..weights import PACKAGED, configuration, fingerprint
from .fusion import LIMIT
from .model import Enhancer, Networks, State

STEPS = {"fast": 5, "default": 10, "best": 50}
SAMPLES = {"fast": 2, "default": 2, "best": 4}
USES = ("fill", "clear")
NETWORKS, REFERENCE = ("predictor.onnx", "allocator.onnx"), "reference.onnx"


@dataclass(frozen=True)
class Both:
    """Enhancers for both uses; which one a tile is for shows in the tile itself."""

    fill: Enhancer
    clear: Enhancer

    @property
    def weights_sha256(self) -> str:
        """Of both: the reader of a result need not know which was asked."""
        both = f"{self.fill.weights_sha256} {self.clear.weights_sha256}"
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def provider(self) -> str:
        """What its networks run on."""
        return self.fill.provider

    def observed(self, tell: Callable[[SamplerStep], None]) -> Both:
        """The same, telling of every step."""
        return Both(self.fill.observed(tell), self.clear.observed(tell))

    def order(self, mode: str, count: int) -> tuple[float, ...]:
        """See `base.Ordered`."""
        return (self.clear if mode == "clear" else self.fill).order(mode, count)

    def prepare(self, overview: Tile) -> State:
        """The state of the one that the scene is for."""
        return (self.clear if overview.clouded else self.fill).prepare(overview)

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Fill the gaps, or clear the whole image."""
        return (self.clear if tile.clouded else self.fill).predict(tile, state)


def load(folder: Path, device: str = "cpu") -> Networks:
    """The networks of a trained run's folder.

    Raises:
        ValueError: no such folder.
    """
    config = configuration(folder, *NETWORKS)
    part, nets = config["diffusion"], config["network"]
    multiple = max(
        nets[name].get("unshuffle", 1) * 2 ** (len(nets[name]["multipliers"]) - 1)
        for name in ("predictor", "allocator")
    )
    return Networks(
        session(folder / NETWORKS[0], device),
        session(folder / NETWORKS[1], device),
        schedules.make(part["noise"], part["steps"], zero_snr=part.get("zero_snr", False)),
        config["use"],
        tuple(map(float, config.get("data", {}).get("wavelengths", ()))),
        part["clip"],
        nets["mask"],
        part["predicts"],
        multiple,
        fingerprint(folder, *NETWORKS),
    )


def create(
    quality: str,
    seed: int,
    weights: str = "",
    reference: str = "",
    reference_weights: str = "",
    steps: str = "",
    limit: str = "",
    samples: str = "",
    device: str = "cpu",
) -> Enhancer | Both:
    """The reconstructor.

    Args:
        weights: a folder of one use; default: those of both that come along.
        reference: a method of the registry; default: the network beside the weights, else `guided`.
            What it cannot do (`fill` or `clear`), DE over it cannot do either.
        reference_weights: a folder of the reference's network; default: the one that comes along.
        steps, limit, samples: as `Enhancer`; default by quality.

    Raises:
        ValueError: an unknown reference, no such folder, or a number that is none or out of range.
    """
    row = registry.find(reference) if reference else None
    if reference_weights and (row is None or "weights" not in row.options):
        raise ValueError("reference_weights is for a reference that is a network")
    strength = share("limit", limit or str(LIMIT))
    count = whole("samples", samples or str(SAMPLES[quality]))

    def enhancer(folder: Path) -> Enhancer:
        networks = load(folder, device)
        walk = whole("steps", steps or str(STEPS[quality]), networks.schedule.steps)
        start = _reference(folder, networks, reference, quality, seed, device, reference_weights)
        return Enhancer(networks, start, walk, strength, count, seed)

    if weights:
        return enhancer(Path(weights))
    uses = USES if row is None else tuple(use for use in USES if use in row.modes)
    made = [enhancer(PACKAGED / f"de-{use}") for use in uses]
    return made[0] if len(made) == 1 else Both(*made)


def _reference(
    folder: Path, networks: Networks, name: str, quality: str, seed: int, device: str, weights: str
) -> Reconstructor:
    if not name and (folder / REFERENCE).exists():
        return Remover(session(folder / REFERENCE, device), networks.wavelengths)
    row = registry.find(name or ("guided" if networks.use == "fill" else "msda-cr"))
    if row is None or row.name == "de" or row.untrained or networks.use not in row.modes:
        raise ValueError(f"{name!r} is no method that could be its reference to {networks.use}")
    settings = {"device": device} if "device" in row.options else {}
    return row.create(quality, seed, {**settings, "weights": weights} if weights else settings)
