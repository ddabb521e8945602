"""Which method fills: what the user named, checked, or what `auto` takes, with its reason."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ...models.base import Reconstructor
from ...models.registry import ROWS, Row, find
from ..device import for_networks
from ..errors import Notice, TerramendError
from ..request import FillRequest, figure
from ..watch import Watch
from ..weights import with_network
from .trial import Tried

if TYPE_CHECKING:
    from ..raster.scene.scene import Scene  # not at run time: lists of methods need no GDAL

OPTION_OF = {"references": "--reference", "terrain": "--dem", "sar": "--sar"}

MAJORITY = "majority"
"""What fills bands of classes, as results call it."""


@dataclass(frozen=True)
class Facts:
    """What a scene holds for methods to lean on.

    Attributes:
        references: number of other dates that overlap. terrain, sar: whether they cover it.
        classes: whether all that is filled are bands of classes, which no method predicts.
    """

    references: int = 0
    terrain: bool = False
    sar: bool = False
    classes: bool = False

    @property
    def held(self) -> frozenset[str]:
        """In the words of `Row.needs`; nothing of it helps bands of classes."""
        names = {"references": self.references > 0, "terrain": self.terrain, "sar": self.sar}
        return frozenset(name for name, there in names.items() if there and not self.classes)


def facts_of(scene: Scene) -> Facts:
    """What a scene that was opened holds."""
    return Facts(len(scene.references), scene.has_terrain, scene.has_sar, scene.only_classes)


def unknown(name: str, ready: Sequence[str]) -> TerramendError:
    """The error of a method's name that there is not; those that look alike are named first."""
    alike = get_close_matches(name, ready)
    known = ", ".join([*alike, *(one for one in ready if one not in alike)])
    return TerramendError("model.unknown", model=name, known=known)


def named(request: FillRequest) -> Row | None:
    """The row that the request names, checked as far as is possible without the scene.

    Returns:
        None for `auto`.

    Raises:
        TerramendError: `model.unknown`, `model.mode`, `model.package`, `model.setting`, `model.untrained`,
            `weights.absent`, `weights.changed`.
    """
    if request.model == "auto":
        if request.settings:
            _check_settings(request, _auto(request))
        return None
    row = find(request.model)
    if row is None:
        raise unknown(request.model, ["auto", *(r.name for r in ROWS if not r.untrained)])
    if request.mode not in row.modes:
        able = ", ".join(r.name for r in ROWS if request.mode in r.modes and not r.untrained)
        raise TerramendError("model.mode", model=row.name, mode=request.mode, known=able)
    for package in row.requires:
        if importlib.util.find_spec(package) is None:
            raise TerramendError("model.package", model=row.name, package=package)
    _check_settings(request, row)
    if row.untrained and "weights" not in dict(request.settings):
        raise TerramendError("model.untrained", model=row.name)
    with_network(row, request.mode, dict(request.settings))
    return row


def choose(request: FillRequest, facts: Facts) -> tuple[Row, Notice]:
    """The method and one sentence that says why it is the one.

    Raises:
        TerramendError: as `named`, and `model.needs` where the scene lacks what a named
            method cannot do without.
    """
    row = named(request)
    if facts.classes and request.mode == "fill":
        return replace(row or _auto(request), name=MAJORITY), Notice("reason.classes")
    if row is None:
        row = _auto(request)
        if request.mode == "clear":
            return row, Notice("reason.clear", {"title": row.title})
        return row, _reason(facts)
    for need in sorted(row.needs & OPTION_OF.keys() - facts.held):
        raise TerramendError("model.needs", model=row.name, needs=need, option=OPTION_OF[need])
    return row, Notice("reason.asked", {"title": row.title})


def used(row: Row, facts: Facts) -> frozenset[str]:
    """What the method looks at of what the scene holds."""
    return facts.held & (row.needs | row.wants)


def say_unused(row: Row, request: FillRequest, facts: Facts, watch: Watch) -> None:
    """A notice of each kind of what the scene holds that the chosen method does not look at."""
    ready = [r for r in ROWS if request.mode in r.modes and not r.untrained]
    for name in sorted(facts.held - used(row, facts)):
        known = ", ".join(r.name for r in ready if name in r.needs | r.wants)
        watch.notice("model.unused", model=row.name, option=OPTION_OF[name], known=known)


def create(row: Row, request: FillRequest) -> Reconstructor:
    """The reconstructor of a row with the request's quality, seed and settings.

    Raises:
        TerramendError: `model.value` where a setting's value makes no sense to the method; `weights.*`,
            `environment.device`.
    """
    settings = dict(request.settings)
    said = ", ".join(f"{key}={value}" for key, value in settings.items()) or "its defaults"
    given = with_network(row, request.mode, settings)
    if "device" in row.options and "device" not in given:
        given["device"] = for_networks(request.device, "torch" in row.requires)
    try:
        made = row.create(request.quality, request.seed, given)
    except (ValueError, TypeError, RuntimeError) as error:  # a device that does not compute is a RuntimeError
        raise TerramendError("model.value", model=row.name, settings=said, why=str(error)) from error
    modes = getattr(made, "modes", row.modes)  # weights and references may do less than their method
    if request.mode not in modes:
        why = f"so it can {' and '.join(modes)} only"
        raise TerramendError("model.value", model=row.name, settings=said, why=why)
    return made


def _auto(request: FillRequest) -> Row:
    """`guided` for gaps: without anything to lean on it works from the surroundings; else the first."""
    return next(r for r in ROWS if request.mode in r.modes and not r.untrained)


def _reason(facts: Facts) -> Notice:
    if facts.references > 1:
        return Notice("reason.dates", {"count": facts.references})
    if facts.references:
        return Notice("reason.date")
    if facts.terrain and facts.sar:
        return Notice("reason.guides")
    if facts.terrain or facts.sar:
        return Notice("reason.terrain" if facts.terrain else "reason.sar")
    return Notice("reason.surroundings")


def tried_reason(reason: Notice, tried: Sequence[Tried], unit: str = "reflectance") -> tuple[Notice, ...]:
    """What `choose` says with the figures that were measured; as it is where nothing was.

    Args:
        unit: of the figures, of `units.WORDS`.
    """
    if not tried:
        return (reason,)
    first, chosen = tried[0], next(one for one in tried if one.chosen)
    if chosen is not first:
        return (Notice("reason.left", _figures((first, chosen), unit)),)
    code = "reason.two" if len(tried) == 2 else "reason.three"
    told = (reason, Notice(code, {"unit": Notice(f"unit.{unit}"), **_figures(tried, unit)}))
    return (*told, Notice("reason.close")) if min(one.rmse for one in tried) < first.rmse else told


def _figures(tried: Sequence[Tried], unit: str) -> dict[str, object]:
    """The arguments `error`, `way`, `error_2`, `way_2`, ... of a sentence."""
    found: dict[str, object] = {}
    for end, one in zip(("", "_2", "_3"), tried, strict=False):
        found |= {f"error{end}": figure(one.rmse, unit), f"way{end}": one.way.name}
    return found


def untried_reason(reason: Notice, request: FillRequest, facts: Facts) -> tuple[Notice, ...]:
    """What `choose` says where filling will measure before it decides."""
    if request.model != "auto" or request.mode != "fill" or not facts.held:
        return (reason,)
    return (reason, Notice("reason.untried"))


def _check_settings(request: FillRequest, row: Row) -> None:
    for key, _ in request.settings:
        if key not in row.options:
            known = ", ".join(row.options) or "none"
            raise TerramendError("model.setting", model=row.name, setting=key, known=known)
