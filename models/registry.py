"""Every reconstructor as one declarative row; nothing heavy is imported until it is used."""

from __future__ import annotations

import importlib
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
        """Import the module and make the reconstructor.

        Raises:
            KeyError: a setting that `options` does not name.
            ValueError: a value, or a folder of weights, that the method cannot use.
        """
        settings = settings or {}
        for key in settings:
            if key not in self.options:
                raise KeyError(key)
        module, _, attribute = self.factory.partition(":")
        made = getattr(importlib.import_module("." + module, __package__), attribute)
        try:
            return made(quality=quality, seed=seed, **settings)
        except (LookupError, AttributeError, TypeError) as error:
            if "weights" not in settings:
                raise
            why = f"its config.json is of another network ({type(error).__name__}: {error})"
            raise ValueError(f"{settings['weights']} is no run of {self.name}: {why}") from error


WEIGHTS = {"weights": "folder of a run of terramend train"}
SERVED = {**WEIGHTS, "device": "cpu or cuda (default: what --device says)"}
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
            "prior": "method whose fill is corrected: guided (default) or harmonic",
            "despeckle": "yes smooths radar first (default no)",
            "upsampling": "of radar coarser than the image: bilinear (default), or nearest as in the paper",
        },
        networks={"fill": name, "clear": name} if ships else {},
        untrained=not ships,
    )


_DRAWN = {
    "prior": "method whose fill is drawn again: guided (default) or harmonic",
    "steps": "of the sampler (default: 4, 8 or 50 by quality)",
    "prompt": "template of {region}, {date}, {day} and {band}",
    "region": "name of the place (default: the country, from the coordinates)",
    "guidance": "0 to 1, how far the surroundings' statistics lead the last steps (default 0)",
}
"""Options of `aligndiff` at both sizes."""
_START = "method whose fill rivals of aligndiff start from: harmonic (default) or guided"
_BY_QUALITY = "drawn and averaged (default: 1, 2 or 4 by quality)"
_SMALL = {**SERVED, **_DRAWN, "samples": _BY_QUALITY}
_HEAVY = {
    **SERVED,
    "weights": "folder in Stable Diffusion's layout, or a hub's id",
    "samples": "drawn and averaged (default 1)",
    "precision": "fp32, fp16 or bf16 (default: fp16 on a GPU)",
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
        "Local regression on other dates, terrain or radar, corrected from the rim; else space alone.",
        "guided",
        "guided.model:create",
        wants=frozenset({"references", "terrain", "sar"}),
        context=64,
        options={"mend": "for best: folder of a run of terramend train mend that the experiment tested"},
    ),
    Row(
        "harmonic",
        "Harmonic surface",
        "Laplace's equation: the smoothest surface through the gap's rim.",
        "space",
        "classical.space:create_harmonic",
    ),
    Row(
        "linear",
        "Linear surface",
        "Flat triangles between the pixels of the gap's rim.",
        "space",
        "classical.space:create_linear",
    ),
    Row(
        "idw",
        "Inverse distance (GDAL)",
        "GDAL's fillnodata: inverse distance weights of rim pixels in eight directions.",
        "space",
        "classical.space:create_idw",
    ),
    Row(
        "nearest",
        "Nearest pixel",
        "The value of the nearest valid pixel.",
        "space",
        "classical.space:create_nearest",
    ),
    Row(
        "mean",
        "Scene mean",
        "The mean of the band: a floor.",
        "space",
        "classical.space:create_mean",
        context=0,
    ),
    Row(
        "copy",
        "Nearest clear date",
        "The value of the nearest date that is clear at the pixel.",
        "time",
        "classical.time:create_copy",
        needs=frozenset({"references"}),
        context=0,
        copies=True,
    ),
    Row(
        "time-linear",
        "Linear in time",
        "A line between the nearest clear dates before and after, pixel by pixel.",
        "time",
        "classical.time:create_time_linear",
        needs=frozenset({"references"}),
        context=0,
        copies=True,
    ),
    Row(
        "msda-cr",
        "MSDA-CR",
        "Removes thin cloud from red, green and blue in one pass; our own small network.",
        "network",
        "rivals.model:create",
        modes=("clear",),
        options=SERVED,
        networks={"clear": "msda-cr"},
    ),
    _radar(
        "align-cr",
        "Align-CR",
        "Clears thin cloud with radar, six bands; gaps: a correction of guided where radar earns it.",
        ships=True,
    ),
    Row(
        "de",
        "Diffusion Enhancement",
        "Diffusion adds to another method's image what a weight map lets through; gaps or thin cloud.",
        "experimental",
        "diffusion_enhancement.door:create",
        modes=("fill", "clear"),
        wants=frozenset({"references", "terrain", "sar"}),
        context=64,
        options={
            **SERVED,
            "reference": "the method that it starts from (default: guided, for thin cloud msda-cr)",
            "steps": "of the sampler, 1 to 1000 (default: 5, 10 or 50 by quality)",
            "limit": "least share of the reference in every pixel, 0 to 1 (default 0.3)",
            "samples": "drawn and averaged (default: 2, 2 or 4 by quality)",
        },
        networks={"fill": "de-fill", "clear": "de-clear"},
    ),
    Row(
        "ddpm",
        "Land from noise (DDPM)",
        "Draws red, green and blue from a learned prior: it invents land; a study, no measurement.",
        "experimental",
        "ddpm.model:create",
        context=64,
        options={
            **SERVED,
            "steps": "of the sampler (default: 20, 50 or 250 by quality)",
            "again": "how often each step is taken (default 5)",
            "samples": "drawn and averaged (default: 2, 2 or 4 by quality)",
        },
        networks={"fill": "ddpm"},
    ),
    Row(
        "aligndiff",
        "AlignDiff",
        "Latent diffusion under terrain, prompt and other dates; draws what is likely, band by band.",
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
        "The same at Stable Diffusion 1.5's size, from a folder or a hub; wants a GPU.",
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
        "Latent diffusion under terrain as it is before its style is adapted: AlignDiff's own baseline.",
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
        "Pictures' own inpainting, without terrain or other dates, from a folder or a hub; wants a GPU.",
        "experimental",
        "rivals.network_sd:create",
        context=64,
        options={**_HEAVY, **{key: _DRAWN[key] for key in ("steps", "prompt", "region")}, "prior": _START},
        requires=("torch", "diffusers", "transformers"),
    ),
    _filler("palette", "Palette", "Diffusion in pixels, from the surroundings alone; draws what is likely."),
    _filler("lama", "LaMa", "Fast Fourier convolutions, from the surroundings alone, in one pass."),
    _filler(
        "stcnn",
        "STCNN",
        "Convolutional LSTM over the last clear date and the scene.",
        "references",
        "terrain",
    ),
    _filler(
        "autoencoder",
        "Autoencoder",
        "A contractive autoencoder over the last clear date and the scene.",
        "references",
        "terrain",
    ),
    _remover(
        "memorynet", "MemoryNet", "Removes thin cloud; recurrent attention with a memory of clear patches."
    ),
    _remover("mprnet", "MPRNet", "Removes thin cloud in three stages of rising detail."),
    _remover("cvae", "CVAE", "Removes thin cloud by a conditional variational autoencoder."),
    _remover("spa-gan", "SpA-GAN", "Removes thin cloud by spatial attention, trained against an adversary."),
    _remover(
        "amgan-cr", "AMGAN-CR", "Removes thin cloud by attentive recurrences, trained against an adversary."
    ),
    _radar("glf-cr", "GLF-CR", "Radar steers attention and local filters; what Align-CR came of."),
    _radar("dsen2-cr", "DSen2-CR", "Residual blocks over bands and radar together."),
    _radar("sar-opt-cgan", "SAR-Opt-cGAN", "A U-Net over bands and radar, trained against an adversary."),
    _radar("mcgan", "McGAN", "A U-Net over the bands alone, trained against an adversary.", sees=False),
)


def find(name: str) -> Row | None:
    """The row called `name`, or None."""
    return next((row for row in ROWS if row.name == name), None)
