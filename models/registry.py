"""Every reconstructor as one declarative row; nothing heavy is imported until it is used."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .base import Reconstructor


@dataclass(frozen=True)
class Row:
    """A reconstructor as the doors and the dock see it.

    Attributes:
        name: what `--model` takes.
        title, summary: for people, one line each.
        group: `guided`, `space`, `time`, `network` or `experimental`.
        factory: `module:callable` inside `models`; called with the settings.
        modes: of `fill`, `clear`.
        needs, wants: of `references`, `terrain`, `sar`; needs are enforced.
        context: pixels around a tile's core that the method must see, unless its quality says fewer itself.
        options: names that `--set` takes, with one line of help each.
        requires: extra importable modules (for example `torch`).
        networks: for each mode, the network of the manifest (`models/weights`) that it runs, unless the
            setting `weights` names another.
        untrained: there is none; the setting `weights` must name a training run's folder.
        copies: puts a date's bands in the place of the target's by their order, where others regress on them.
    """

    name: str
    title: str
    summary: str
    group: str
    factory: str
    modes: tuple[str, ...] = ("fill",)
    needs: frozenset[str] = frozenset()
    wants: frozenset[str] = frozenset()
    context: int = 32
    options: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    untrained: bool = False
    copies: bool = False

    def create(
        self, quality: str = "default", seed: int = 0, settings: Mapping[str, str] | None = None
    ) -> Reconstructor:
        """Import the module and make the reconstructor; `~` in the name of a folder is the home folder.

        Raises:
            KeyError: a setting that `options` does not name.
            ValueError: a value, or a folder of weights, that the method cannot use.
        """
        settings = settings or {}
        for key in settings:
            if key not in self.options:
                raise KeyError(key)
        settings = {key: expanded(value) if key in FOLDERS else value for key, value in settings.items()}
        module, _, attribute = self.factory.partition(":")
        made = getattr(importlib.import_module("." + module, __package__), attribute)
        try:
            return made(quality=quality, seed=seed, **settings)
        except (LookupError, AttributeError, TypeError) as error:
            if "weights" not in settings:
                raise
            why = f"its config.json is of another network ({type(error).__name__}: {error})"
            raise ValueError(f"{settings['weights']} is no run of {self.name}: {why}") from error


FOLDERS = ("weights", "reference_weights", "mend")
"""Options that name a folder."""


def expanded(path: str) -> str:
    """A path with `~` resolved, where there is such a home folder."""
    return os.path.expanduser(path)  # noqa: PTH111 - ~NAME stays where nobody is called so


WEIGHTS = {"weights": "folder of a finished run of terramend train"}
SERVED = {**WEIGHTS, "device": "processor, cpu or cuda (default: what --device says)"}
"""Options of methods whose networks `--device` moves."""


def _remover(name: str, title: str, summary: str) -> Row:
    """A cloud removal network that is trained here but comes without weights."""
    return Row(
        name,
        title,
        summary,
        "experimental",
        "rivals.model:create",
        ("clear",),
        options=SERVED,
        untrained=True,
    )


def _radar(name: str, title: str, summary: str, sees: bool = True, ships: bool = False) -> Row:
    """A network that takes cloud away, or fills gaps, with radar; most come without weights."""
    return Row(
        name,
        title,
        summary,
        "network" if ships else "experimental",
        "align_cr.model:create",
        ("fill", "clear"),
        needs=frozenset({"sar"} if sees else ()),
        wants=frozenset({"references", "terrain"}),
        context=64,
        options={
            **SERVED,
            "prior": "method whose fill the network corrects: guided (default) or harmonic",
            "despeckle": "yes: speckle filter on the radar data (default: no)",
            "upsampling": "resampling of radar coarser than the image: bilinear (default) or nearest (paper)",
        },
        networks={"fill": name, "clear": name} if ships else {},
        untrained=not ships,
    )


_DRAWN = {
    "prior": "method whose fill diffusion starts from: guided (default) or harmonic",
    "steps": "number of sampling steps (default: 4, 8 or 50 by quality)",
    "prompt": "text prompt, with the placeholders {region}, {date}, {day} and {band}",
    "region": "place name in the prompt (default: the country at the coordinates)",
    "guidance": "pull to the statistics of the surroundings in the last steps, 0 to 1 (default: 0)",
}
"""Options of `aligndiff` at both sizes."""
_START = "method whose fill the network starts from: harmonic (default) or guided"
_BY_QUALITY = "number of samples that are averaged (default: 1, 2 or 4 by quality)"
_SMALL = {**SERVED, **_DRAWN, "samples": _BY_QUALITY}
_HEAVY = {
    **SERVED,
    "weights": "folder in the layout of Stable Diffusion, or id on a model hub",
    "samples": "number of samples that are averaged (default: 1)",
    "precision": "number format fp32, fp16 or bf16 (default: fp16 on a GPU)",
}
"""Options of what has Stable Diffusion's size."""


def _filler(name: str, title: str, summary: str, *wants: str) -> Row:
    """A rival of AlignDiff that is trained here but comes without weights."""
    options = {**SERVED, "prior": _START}
    if name == "palette":
        options |= {"steps": _DRAWN["steps"], "samples": _BY_QUALITY}
    return Row(
        name,
        title,
        summary,
        "experimental",
        "rivals.fill:create",
        wants=frozenset(wants),
        context=64,
        options=options,
        untrained=True,
    )


ROWS: tuple[Row, ...] = (
    Row(
        "guided",
        "Guided regression",
        "Local regression on other dates, terrain or radar; spatial interpolation where there are none.",
        "guided",
        "guided.model:create",
        wants=frozenset({"references", "terrain", "sar"}),
        context=64,
        options={"mend": "quality best only: folder of a run of mend, tested by terramend experiment mend"},
    ),
    Row(
        "harmonic",
        "Harmonic surface",
        "Spatial interpolation by Laplace's equation (membrane through the gap's rim).",
        "space",
        "classical.space:create_harmonic",
    ),
    Row(
        "linear",
        "Linear surface",
        "Linear interpolation on triangles (Delaunay) between the pixels of the gap's rim.",
        "space",
        "classical.space:create_linear",
    ),
    Row(
        "idw",
        "Inverse distance (GDAL)",
        "Inverse distance weighting of rim pixels in eight directions (fillnodata of GDAL).",
        "space",
        "classical.space:create_idw",
    ),
    Row(
        "nearest",
        "Nearest pixel",
        "Value of the nearest valid pixel.",
        "space",
        "classical.space:create_nearest",
    ),
    Row(
        "mean",
        "Scene mean",
        "Mean of the valid pixels of the band; a baseline for comparisons.",
        "space",
        "classical.space:create_mean",
        context=0,
    ),
    Row(
        "copy",
        "Nearest clear date",
        "Value of the same pixel on the nearest date on which it is clear.",
        "time",
        "classical.time:create_copy",
        needs=frozenset({"references"}),
        context=0,
        copies=True,
    ),
    Row(
        "time-linear",
        "Linear in time",
        "Linear interpolation in time between the nearest clear dates before and after, for each pixel.",
        "time",
        "classical.time:create_time_linear",
        needs=frozenset({"references"}),
        context=0,
        copies=True,
    ),
    Row(
        "msda-cr",
        "MSDA-CR",
        "Removal of thin cloud from red, green and blue by a small convolutional network.",
        "network",
        "rivals.model:create",
        modes=("clear",),
        options=SERVED,
        networks={"clear": "msda-cr"},
    ),
    _radar(
        "align-cr",
        "Align-CR",
        "Removal of thin cloud with Sentinel-1, six bands; in gaps a radar-based correction of guided, "
        "weighted by its gain on hidden pixels.",
        ships=True,
    ),
    Row(
        "de",
        "Diffusion Enhancement",
        "Diffusion model fused with the image of another method by a learned weight map; gaps or thin cloud.",
        "experimental",
        "diffusion_enhancement.door:create",
        modes=("fill", "clear"),
        wants=frozenset({"references", "terrain", "sar"}),
        context=64,
        options={
            **SERVED,
            "reference": "method that makes the reference image (default: guided, for thin cloud msda-cr)",
            "reference_weights": "folder of the reference's network (default: the one that is installed)",
            "steps": "number of sampling steps, 1 to 1000 (default: 5, 10 or 50 by quality)",
            "limit": "least weight of the reference in every pixel, 0 to 1 (default: 0.3)",
            "samples": "drawn and averaged (default: 2, 2 or 4 by quality)",
        },
        networks={"fill": "de-fill", "clear": "de-clear"},
    ),
    Row(
        "ddpm",
        "Land from noise (DDPM)",
        "Inpainting of red, green and blue by unconditional diffusion (DDPM); it invents land cover.",
        "experimental",
        "ddpm.model:create",
        context=64,
        options={
            **SERVED,
            "steps": "number of sampling steps (default: 20, 50 or 250 by quality)",
            "again": "number of resampling repetitions of each step (default: 5)",
            "samples": "drawn and averaged (default: 2, 2 or 4 by quality)",
        },
        networks={"fill": "ddpm"},
    ),
    Row(
        "aligndiff",
        "AlignDiff",
        "Latent diffusion on terrain, text prompt and another date, band by band; invents detail.",
        "experimental",
        "aligndiff.model:create",
        wants=frozenset({"references", "terrain"}),
        context=64,
        options=_SMALL,
        networks={"fill": "aligndiff"},
    ),
    Row(
        "aligndiff-sd15",
        "AlignDiff on Stable Diffusion",
        "AlignDiff with Stable Diffusion 1.5 weights from a folder or a model hub; made for a GPU.",
        "experimental",
        "aligndiff.network_serving:create",
        wants=frozenset({"references", "terrain"}),
        context=64,
        options={**_HEAVY, **_DRAWN},
        requires=("torch", "diffusers", "transformers"),
    ),
    Row(
        "controlnet",
        "ControlNet (AlignDiff without adapter)",
        "Latent diffusion on terrain, without the adapter: the baseline of AlignDiff.",
        "experimental",
        "aligndiff.model:create",
        wants=frozenset({"references", "terrain"}),
        context=64,
        options=_SMALL,
        untrained=True,
    ),
    Row(
        "sd-inpaint",
        "Stable Diffusion inpainting",
        "Inpainting network for photographs, from a folder or a model hub; made for a GPU.",
        "experimental",
        "rivals.network_sd:create",
        context=64,
        options={**_HEAVY, **{key: _DRAWN[key] for key in ("steps", "prompt", "region")}, "prior": _START},
        requires=("torch", "diffusers", "transformers"),
    ),
    _filler(
        "palette", "Palette", "Pixel-space diffusion conditioned on the surroundings alone; invents detail."
    ),
    _filler(
        "lama",
        "LaMa",
        "Inpainting network of fast Fourier convolutions, from the surroundings alone, in one pass.",
    ),
    _filler(
        "stcnn",
        "STCNN",
        "Convolutional LSTM on the last clear date and the target.",
        "references",
        "terrain",
    ),
    _filler(
        "autoencoder",
        "Autoencoder",
        "Contractive autoencoder on the last clear date and the target.",
        "references",
        "terrain",
    ),
    _remover(
        "memorynet",
        "MemoryNet",
        "Removal of thin cloud by recurrent attention with a memory of clear patches.",
    ),
    _remover("mprnet", "MPRNet", "Removal of thin cloud by a network of three stages, from coarse to fine."),
    _remover("cvae", "CVAE", "Removal of thin cloud by a conditional variational autoencoder."),
    _remover("spa-gan", "SpA-GAN", "Removal of thin cloud by a GAN with spatial attention."),
    _remover("amgan-cr", "AMGAN-CR", "Removal of thin cloud by a GAN with recurrent attention."),
    _radar(
        "glf-cr",
        "GLF-CR",
        "Global-local fusion of optical and radar by attention and dynamic filters; predecessor of Align-CR.",
    ),
    _radar("dsen2-cr", "DSen2-CR", "Residual network on optical bands stacked with radar."),
    _radar("sar-opt-cgan", "SAR-Opt-cGAN", "Conditional GAN (U-Net generator) on optical bands and radar."),
    _radar("mcgan", "McGAN", "Conditional GAN (U-Net generator) on the optical bands alone.", sees=False),
)


def find(name: str) -> Row | None:
    """The row called `name`, or None."""
    return next((row for row in ROWS if row.name == name), None)
