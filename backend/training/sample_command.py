"""`terramend sample ddpm | de`: what a trained diffusion model makes, as pictures; needs no torch."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...models.base import Floats, Tile
from ...models.ddpm import model as ddpm
from ...models.diffusion_enhancement import door
from ...models.diffusion_enhancement.fusion import LIMIT
from ...models.diffusion_enhancement.model import Enhancer
from ..datasets.files import opened, reflectance
from ..errors import TerramendError
from ..failure import reason
from ..filling import views
from ..flow import run_cancellable
from ..watch import Watch
from . import pictures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend sample`."""
    names = parser.add_subparsers(dest="network", metavar="NAME", required=True)
    drawn = names.add_parser("ddpm", help="unconditional samples from noise")
    drawn.add_argument("--count", type=int, default=16, help="number of samples (default: 16)")
    drawn.add_argument(
        "--size", type=int, default=64, help="height and width of a sample in pixels (default: 64)"
    )
    cleared = names.add_parser("de", help="thin cloud removed from one image")
    cleared.add_argument(
        "--image", type=Path, required=True, help="clouded image: PNG, or GeoTIFF of red, green, blue"
    )
    cleared.add_argument(
        "--limit",
        type=float,
        default=LIMIT,
        help=f"least weight of the reference in every pixel, 0 to 1 (default: {LIMIT})",
    )
    cleared.add_argument(
        "--samples", type=int, default=1, help="number of samples that are averaged (default: 1)"
    )
    cleared.add_argument(
        "--save-weights-map",
        type=Path,
        metavar="PNG",
        help="write a picture of the fusion weights W at each step",
    )
    cleared.add_argument(
        "--save-trajectory",
        type=Path,
        metavar="PNG",
        help="write a picture of the estimated image x0 at each step",
    )
    for parser_ in (drawn, cleared):
        parser_.add_argument("--weights", type=Path, required=True, help="folder of a finished training run")
        steps = 50 if parser_ is drawn else 10
        parser_.add_argument(
            "--steps", type=int, default=steps, help=f"number of sampling steps (default: {steps})"
        )
        parser_.add_argument("--seed", type=int, default=0, help="seed of the random numbers (default: 0)")
        parser_.add_argument("-o", "--out", type=Path, required=True, help="PNG file to write")


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Draw and write the pictures.

    Raises:
        TerramendError: `training.start` where the folder holds no finished run; `command.option`;
            `run.cancelled`.
    """
    if options.out.is_dir():
        raise TerramendError(
            "command.option", option="--out", why="it is a folder; give the name of a PNG file"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    (_ddpm if options.network == "ddpm" else _de)(options, watch)
    watch.finish()


def _missing(options: argparse.Namespace, *files: str) -> None:
    for name in ("config.json", *files):
        if not (options.weights / name).is_file():
            raise TerramendError(
                "training.start", path=str(options.weights), name=options.network, why=f"it has no {name}"
            )


@contextmanager
def _of_run(options: argparse.Namespace) -> Iterator[None]:
    """What cannot be opened inside is the run's fault."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        why = reason(error) if isinstance(error, ValueError) else "its config.json is not that of a run"
        raise TerramendError(
            "training.start", path=str(options.weights), name=options.network, why=why
        ) from None


def _ddpm(options: argparse.Namespace, watch: Watch) -> None:
    _missing(options, "ddpm.onnx")
    with _of_run(options):
        prior = ddpm.load(options.weights)
    if options.size < 1 or options.size % prior.multiple:
        why = f"it must be a multiple of {prior.multiple}"
        raise TerramendError("command.option", option="--size", why=why)
    _within("--steps", options.steps, 1, prior.schedule.steps)
    _within("--count", options.count, 1)
    draw = partial(prior.draw, options.count, options.size, options.steps, options.seed)
    made = run_cancellable(draw, watch.check)
    pictures.grid(np.clip((made + 1) / 2, 0, 1), options.out)


def _de(options: argparse.Namespace, watch: Watch) -> None:
    _missing(options, "predictor.onnx", "allocator.onnx")
    _within("--limit", options.limit, 0, 1)
    _within("--samples", options.samples, 1)
    with _of_run(options):
        made = door.create(
            "default", options.seed, str(options.weights), samples=str(options.samples), steps="1"
        )
    assert isinstance(made, Enhancer)  # noqa: S101 (a folder was named)
    _within("--steps", options.steps, 1, made.networks.schedule.steps)
    if made.networks.use != "clear":
        why = "it fills gaps, and an image that is cleared has none"
        raise TerramendError("training.start", path=str(options.weights), name="de", why=why)
    image = _image(options.image)
    for written in filter(None, (options.out, options.save_weights_map, options.save_trajectory)):
        if written.exists() and written.samefile(options.image):
            raise TerramendError("output.is-input", path=str(written))
    seen = views.Views((image.shape[1], image.shape[2]))
    made = replace(made, steps=options.steps, limit=options.limit, samples=options.samples, tell=seen.add)
    tile = Tile(image, np.ones(image.shape, bool), wavelengths=made.networks.wavelengths)
    mean = run_cancellable(lambda: made.predict(tile, made.prepare(tile)), watch.check).mean
    pictures.grid(np.clip(mean, 0, 1)[None] ** np.float32(1 / 2.2), options.out, columns=1, scale=1)
    if options.save_weights_map:
        views.write(seen.weights(), options.save_weights_map)
    if options.save_trajectory:
        views.write(seen.trajectory(), options.save_trajectory)


def _within(option: str, value: float, least: int, most: float = math.inf) -> None:
    if not least <= value <= most:
        why = f"it must lie between {least} and {most}" if most < math.inf else f"it must be {least} or more"
        raise TerramendError("command.option", option=option, why=why)


def _image(path: Path) -> Floats:
    """(3, H, W) reflectance; a picture's values are taken as shown with gamma 1/2.2.

    Raises:
        TerramendError: `command.option` where there are not three bands.
    """
    if not path.is_file():
        raise TerramendError("raster.missing", path=str(path))
    with opened(path) as source:
        picture, bands = source.dtypes[0] == "uint8", source.count
    if bands < 3:
        raise TerramendError("command.option", option="--image", why="it needs red, green and blue")
    image = reflectance(path, 1 / 255 if picture else 1e-4, bands=3)
    return np.asarray(image ** np.float32(2.2) if picture else image, np.float32)
