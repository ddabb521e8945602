"""What a door can ask for, as JSON in and JSON out.

The server, the command line and the batch all come through here, so that a setting, a
mode or a result means the same behind every door. Each call takes its parameters and a
`Watch`; what it needs is imported when it is called, so that `doctor` answers even where
a package is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from . import settings
from .errors import TerramendError
from .request import FillRequest, from_json
from .watch import Watch

Json = dict[str, Any]


def fill(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{request}` -> the fill's result (`request.FillResult` as JSON)."""
    return run(_request("fill", params, mode="fill"), watch)


def clear(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{request}` -> the result of removing thin cloud."""
    return run(_request("clear", params, mode="clear"), watch)


def inspect(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{request}` -> what would be filled, and with what; nothing is written."""
    from .inspect import inspect

    return inspect(_looking("inspect", params), watch)


def expect(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{request}` -> the error that a fill would state, and what `auto` measured; nothing is written."""
    from .expect import expect

    return expect(_looking("expect", params, mode="fill"), watch)


def mask(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{request, class_band?}` -> a gap mask written to the request's output, and its shares."""
    from .mask import make_mask

    return make_mask(_request("mask", params), watch, class_band=params.get("class_band") is True)


def accuracy(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{request, html?}` -> errors on hidden pixels of the scene itself; `html` names a report to write."""
    from .accuracy import accuracy as run

    html = params.get("html")
    if not (html is None or isinstance(html, str)):
        raise TerramendError("protocol.params", method="accuracy", why="html is the path of a report")
    return run(_looking("accuracy", params), watch, html or None)


def preview(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{request}` -> the result of filling the request's extent, decimated."""
    from .preview import preview as run

    return asdict(run(_request("preview", params, mode="fill"), watch))


def models(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{}` -> `{models, weights}`: every reconstructor, whether it can run here, and all networks."""
    import importlib.util

    from ..models.registry import ROWS
    from .weights import listing

    networks = listing()
    absent = {network["name"] for network in networks if network["folder"] is None}

    def row(entry: Any) -> Json:
        missing = [name for name in entry.requires if importlib.util.find_spec(name) is None]
        return {
            "name": entry.name,
            "title": entry.title,
            "summary": entry.summary,
            "group": entry.group,
            "modes": list(entry.modes),
            "needs": sorted(entry.needs),
            "wants": sorted(entry.wants),
            "options": dict(entry.options),
            "missing": missing,
            "lacks": [name for name in dict.fromkeys(entry.networks.values()) if name in absent],
            "untrained": entry.untrained,
            "available": not missing,
        }

    return {"models": [row(entry) for entry in ROWS], "weights": networks}


def install(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{name, source?, proxies?, certificates?}` -> the network's weights brought (`weights`, `route`)."""
    from .route import Route
    from .weights import install

    name, source = params.get("name"), params.get("source")
    if not isinstance(name, str) or not (source is None or isinstance(source, str)):
        raise TerramendError("protocol.params", method="install", why="name and source are text")
    proxies, certificates = params.get("proxies", {}), params.get("certificates", "")
    if not isinstance(proxies, Mapping) or not all(isinstance(text, str) for text in proxies.values()):
        raise TerramendError("protocol.params", method="install", why="proxies are addresses by scheme")
    if not isinstance(certificates, str):
        raise TerramendError("protocol.params", method="install", why="certificates are text")
    return install(name, source or None, watch, route=Route(proxies, certificates))


def doctor(params: Mapping[str, Any], watch: Watch) -> Json:
    """`{}` -> what is installed, what computes, which settings hold (see `doctor`)."""
    from .doctor import examine

    return examine()


CALLS: Mapping[str, Callable[[Mapping[str, Any], Watch], Json]] = {
    "fill": fill,
    "clear": clear,
    "inspect": inspect,
    "expect": expect,
    "mask": mask,
    "accuracy": accuracy,
    "preview": preview,
    "models": models,
    "install": install,
    "doctor": doctor,
}


def _request(call: str, params: Mapping[str, Any], **fixed: Any) -> FillRequest:
    """The request of a call; settings of this machine stand in for what it leaves open."""
    asked = params.get("request")
    if not isinstance(asked, Mapping):
        raise TerramendError("protocol.params", method=call, why="it needs an object called request")
    for name, value in fixed.items():
        if asked.get(name, value) != value:
            raise TerramendError("request.field", field=name, why=f"{call} needs {value!r}")
    return from_json({**settings.for_request(), **asked, **fixed})


def _looking(call: str, params: Mapping[str, Any], **fixed: Any) -> FillRequest:
    """The request of a call that writes no raster: it need not name one."""
    asked = params.get("request")
    if isinstance(asked, Mapping):
        params = {**params, "request": {**asked, "output": asked.get("output") or f"{call}.tif"}}
    return _request(call, params, **fixed)


def run(request: FillRequest, watch: Watch) -> Json:
    """Do one request, of either mode; the result as JSON."""
    from .fill import fill

    return asdict(fill(request, watch))
