"""Everything that is compared, by name: our reconstructors, the peers, the oracles, doing nothing."""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...models import registry
from ...models.base import Floats, Reconstructor, Tile
from ..errors import TerramendError
from ..filling import trial
from ..request import QUALITIES
from . import oracle, peers_space, peers_time
from .cases import Sample, View, fingerprint

Filled = tuple[Floats, Floats | None]

HERE = Path(__file__).parent
MODELS = Path(registry.__file__).parent


@dataclass(frozen=True)
class Method:
    """One row of the tables.

    Attributes:
        name: as `--methods` takes it. title: for people.
        group: `ours`, `space`, `time`, `oracle` or `nothing`. Peers are `space` and `time`.
        uses: of `references`, `terrain`, `sar`; what it does not use does not make a new row.
        needs: the same words, what it cannot do without.
        make: settings -> a function from sample to mean and standard deviation (or None).
        settings: what it runs with. options: names of all that it has.
        grid: settings that tuning on train chooses from.
        package: importable module that it needs beside the light environment.
        modes: `fill`, and `clear` if it may change whole pictures.
    """

    name: str
    title: str
    group: str
    make: Callable[[Mapping[str, Any]], Callable[[Sample], Filled]]
    uses: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    grid: tuple[Mapping[str, Any], ...] = ()
    package: str = ""
    modes: tuple[str, ...] = ("fill",)

    @property
    def peer(self) -> bool:
        """Whether gains are measured against it."""
        return self.group in ("space", "time")

    def seen(self, view: View) -> View:
        """The part of a track's view that it uses."""
        return View(
            view.references if "references" in self.uses else (),
            view.terrain and "terrain" in self.uses,
            view.sar and "sar" in self.uses,
        )

    def applies(self, view: View, whole: bool, real: bool) -> bool:
        """Whether it can run; `whole`: every pixel may change, `real`: the clouded values are known."""
        if self.group == "nothing":
            return real
        if whole:
            return "clear" in self.modes
        given = {"references": bool(view.references), "terrain": view.terrain, "sar": view.sar}
        return "fill" in self.modes and all(given[need] for need in self.needs)

    def version(self) -> str:
        """Hash of the code and weights that the numbers depend on, also those of a run that settings name."""
        if self.group != "ours":
            names = ("peers_space", "peers_time", "regress", "membrane", "oracle")
            return fingerprint([HERE / f"{name}.py" for name in names])
        base = self.name.split("?")[0].split("@")[0]
        folders = {"classical", "guided", *(["mend"] if "@best" in self.name else [])}
        rows = [row for row in registry.ROWS if row.name == base]
        folders |= {row.factory.split(".")[0] for row in rows}
        if any("weights" in row.options for row in rows):  # what networks sample with, and begin from
            folders |= {"diffusion", "rivals"}
        paths = [HERE.parent / "filling" / "trial.py"] if base == "auto" else []
        paths += sources(*folders)
        paths += [path for path in (MODELS / "weights").rglob("*") if path.is_file()]
        named = [word for word in registry.FOLDERS if word in self.settings]
        runs = [Path(registry.expanded(str(self.settings[word]))) for word in named]
        own = [path for run in runs for kind in ("*.json", "*.onnx") for path in sorted(run.glob(kind))]
        return fingerprint([*sorted(paths), *own])


def sources(*folders: str) -> list[Path]:
    """The Python files of `folders` of `models`, and those that several of them share."""
    shared = [path for path in MODELS.glob("*.py") if path.stem != "registry"]
    return sorted([*shared, *(path for folder in folders for path in (MODELS / folder).rglob("*.py"))])


def _peer(function: Callable[..., Floats]) -> Callable[[Mapping[str, Any]], Callable[[Sample], Filled]]:
    return lambda settings: lambda sample: (function(sample.tile, **settings), None)


def _options(function: Callable[..., Floats]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)[1:]


def _grid(name: str, *values: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple({name: value} for value in values)


def _space(name: str, title: str, function: Callable[..., Floats], **more: Any) -> Method:
    return Method(name, title, "space", _peer(function), options=_options(function), **more)


def _time(name: str, title: str, function: Callable[..., Floats], **more: Any) -> Method:
    more |= {"options": _options(function)}
    references = frozenset({"references"})
    return Method(name, title, "time", _peer(function), uses=references, needs=references, **more)


def _oracle(name: str, title: str, function: Callable[..., Floats]) -> Method:
    def make(_: Mapping[str, Any]) -> Callable[[Sample], Filled]:
        return lambda sample: (function(sample.tile, sample.truth, sample.scored), None)

    references = frozenset({"references"})
    return Method(name, title, "oracle", make, uses=references, needs=references)


PEERS: tuple[Method, ...] = (
    _space("band-mean", "mean of the band", peers_space.band_mean),
    _space("nearest-pixel", "nearest pixel", peers_space.nearest),
    _space("scipy-linear", "linear (scipy)", peers_space.linear),
    _space("scipy-cubic", "cubic (scipy)", peers_space.cubic, grid=_grid("width", 1, 2, 3, 5)),
    _space("opencv-telea", "Telea (OpenCV)", peers_space.telea, grid=_grid("radius", 3, 5, 9, 15)),
    _space("opencv-ns", "Navier-Stokes (OpenCV)", peers_space.navier_stokes,
           grid=_grid("radius", 3, 5, 9, 15)),
    _space("biharmonic", "biharmonic (scikit-image)", peers_space.biharmonic, package="skimage"),
    _space("gdal", "fillnodata (GDAL)", peers_space.gdal,
           grid=_grid("smoothing", 0, 3, 10, 30, 100, 300)),
    _space("kriging", "ordinary kriging (PyKrige)", peers_space.kriging, package="pykrige",
           grid=tuple({"neighbours": n, "model": m}
                      for n in (16, 48) for m in ("exponential", "spherical"))),
    _space("exemplar", "exemplar (own, short)", peers_space.exemplar, grid=_grid("size", 5, 7, 9, 13)),
    _time("copy-date", "copy nearest date", peers_time.copy),
    _time("pixel-linear", "linear in time", peers_time.time_linear),
    _time("pixel-akima", "Akima in time", peers_time.akima),
    _time("pixel-whittaker", "Whittaker in time", peers_time.whittaker,
          grid=_grid("smoothness", 1e2, 1e3, 1e4, 1e5, 1e6)),
    _time("pixel-harmonic", "harmonics of the year", peers_time.harmonic,
          grid=tuple({"order": o, "ridge": r} for o in (1, 2) for r in (0.01, 0.1, 1.0))),
    _time("histogram", "histogram matching", peers_time.histogram, grid=_grid("quantiles", 16, 64, 256)),
    _time("lsq-one", "least squares, one date", peers_time.lsq_one, grid=_grid("ridge", 1e-4, 1e-3, 1e-2)),
    _time("lsq-one-residual", "least squares, one date, + membrane", peers_time.lsq_one_residual,
          grid=_grid("ridge", 1e-4, 1e-3, 1e-2)),
    _time("lsq-all", "least squares, all dates", peers_time.lsq_all,
          grid=_grid("ridge", 1e-4, 1e-3, 1e-2, 1e-1)),
    _time("lsq-all-residual", "least squares, all dates, + membrane", peers_time.lsq_all_residual,
          grid=_grid("ridge", 1e-4, 1e-3, 1e-2, 1e-1)),
    _time("nspi", "NSPI (own)", peers_time.nspi,
          grid=tuple({"candidates": c, "similar": s} for c in (100, 300, 600) for s in (10, 20, 40))),
)  # fmt: skip

ORACLES: tuple[Method, ...] = (
    _oracle("oracle-global", "oracle: one regression", oracle.everywhere),
    _oracle("oracle-24", "oracle: within 24 px", partial(oracle.nearby, sigma=24)),
    _oracle("oracle-12", "oracle: within 12 px", partial(oracle.nearby, sigma=12)),
)

NOTHING = Method("do-nothing", "do nothing", "nothing", lambda _: lambda sample: (sample.original, None))

DEFAULT = ("guided@fast", "guided", "guided@best")
"""Ours that run when `--methods` names none."""


def _tuned() -> dict[str, Mapping[str, Any]]:
    stored: dict[str, Mapping[str, Any]] = json.loads((HERE / "tuned.json").read_text())
    return {name: row["settings"] for name, row in stored.items()}


def _settings(text: str) -> dict[str, Any]:
    """`radius=3&model=spherical` as a mapping; what is no JSON is a word."""
    made: dict[str, Any] = {}
    for part in filter(None, text.split("&")):
        word, _, value = part.partition("=")
        try:
            made[word] = json.loads(value)
        except ValueError:
            made[word] = value
    return made


def spelled(name: str, settings: Mapping[str, Any]) -> str:
    """The name that `find` turns into the method with these settings."""
    return name + ("?" if settings else "") + "&".join(f"{key}={value}" for key, value in settings.items())


def _chosen(made: Reconstructor, tile: Tile) -> Tile:
    """What `auto` decides to show, by its trial."""
    ways = trial.candidates(len(tile.references), tile.terrain is not None, tile.sar is not None)
    tried = trial.compare(made, ways, [tile]) if len(ways) > 1 else ()
    return next((one.way.shown(tile) for one in tried if one.chosen), tile)


def ours(name: str) -> Method | None:
    """A registry row or `auto`, `name` or `name@quality`; None if there is none of that name."""
    base, _, quality = name.partition("@")
    row = registry.find("guided" if base == "auto" else base)
    if row is None or (quality or "default") not in QUALITIES:
        return None

    def make(settings: Mapping[str, Any]) -> Callable[[Sample], Filled]:
        texts = {key: str(value) for key, value in settings.items()}
        try:
            made = row.create(quality or "default", 0, texts)
        except (ValueError, TypeError, RuntimeError) as error:
            said = ", ".join(f"{key}={value}" for key, value in texts.items()) or "its defaults"
            raise TerramendError("model.value", model=name, settings=said, why=str(error)) from error

        def fill(sample: Sample) -> Filled:
            tile = _chosen(made, sample.tile) if base == "auto" else sample.tile
            prediction = made.predict(tile, made.prepare(tile))
            return prediction.mean, prediction.std

        return fill

    title = ("Auto" if base == "auto" else row.title) + (f", {quality}" if quality else "")
    uses, options = row.needs | row.wants, tuple(row.options)
    return Method(name, title, "ours", make, uses, row.needs, options=options, modes=row.modes)


def find(name: str) -> Method:
    """The method called `name`: a registry row (`guided@best`), `auto`, a peer, an oracle.

    Settings may follow, `opencv-ns?radius=3`, `guided?key=value&key=value`; without them a peer
    runs with those that were best on train.

    Raises:
        TerramendError: `evaluate.method`; `evaluate.package` if its package is missing, `evaluate.untrained`
            if its weights are; `model.setting`.
    """
    base, _, text = name.partition("?")
    fixed = {method.name: method for method in (*PEERS, *ORACLES, NOTHING)}
    method = fixed.get(base) or ours(base)
    if method is None:
        known = ["auto", *(row.name for row in registry.ROWS), *fixed]
        raise TerramendError("evaluate.method", name=name, known=", ".join(known))
    if method.package and importlib.util.find_spec(method.package) is None:
        raise TerramendError("evaluate.package", name=name, package=method.package)
    settings = _settings(text) if text else _tuned().get(name, {})
    for key in settings:
        if key not in method.options:
            has = ", ".join(method.options) or "none"
            raise TerramendError("model.setting", model=base, setting=key, known=has)
    row = registry.find(base.partition("@")[0])
    if row is not None and row.untrained and "weights" not in settings:
        raise TerramendError("evaluate.untrained", name=row.name)
    if not text:
        return replace(method, settings=settings)
    return replace(method, name=name, title=f"{method.title} {text}", settings=settings)


def standard() -> list[str]:
    """Names that run when none are given: ours by default, all peers, the oracles, do-nothing."""
    return [*DEFAULT, *(method.name for method in (*PEERS, *ORACLES)), NOTHING.name]
