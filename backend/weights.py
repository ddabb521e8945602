"""Installing the weights of networks: pinned by hash, resumable, from a folder or a server."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..models.registry import Row, find
from ..models.weights import PACKAGED, File, Weights, lacking, locate, read_manifest
from .errors import TerramendError
from .failure import cancelled_as, reason
from .flow import run_cancellable
from .route import Route
from .settings import weights_folder
from .version import VERSION
from .watch import Watch

CHUNK = 1 << 18
TIMEOUT = 30.0
"""Seconds without an answer after which a download gives up."""
REFUSALS = (401, 403, 404, 410)
"""Answers of a server that has no such file, or not for us: asking again does not help."""


def install(
    name: str,
    source: str | None,
    watch: Watch,
    *,
    folder: Path | None = None,
    manifest: Mapping[str, Weights] | None = None,
    route: Route | None = None,
) -> dict[str, Any]:
    """Bring the files of a network into the user's folder; what is there, or came along, stays.

    A download that breaks off leaves a `.part` file, and the next call goes on from it; one that turns
    out to be of another file is begun anew. No file gets its name before its hash was seen to be right.

    Args:
        name: of the manifest. source: a folder, or an http(s) address; None: the manifest's.
        folder: where the network's folder goes; default: the setting `weights`.
        route: the way to its server.

    Returns:
        `{name, folder, installed, bytes}`: names of the files that were brought, and their size.

    Raises:
        TerramendError: `weights.*`; a cancel is `weights.cancelled` once files are on their way.
    """
    known = read_manifest() if manifest is None else manifest
    if name not in known:
        raise TerramendError("weights.unknown", name=name, known=", ".join(known) or "none in this version")
    weights = known[name]
    if _numbers(weights.least_software) > _numbers(VERSION):
        raise TerramendError("weights.software", name=name, least=weights.least_software, have=VERSION)
    own = folder or weights_folder()
    place = locate(weights, own)
    if place is None and not (source or weights.url):
        raise TerramendError("weights.unpublished", name=name)
    place = place or _new(own, name)
    brought = lacking(weights, place)
    watch.stage("install", weights.size)
    watch.advance(weights.size - sum(file.size for file in brought))
    with cancelled_as("weights.cancelled", name=name, folder=str(place)):
        for file in brought:
            bring = partial(_bring, file, name, source or weights.url, place, watch, route or Route())
            run_cancellable(bring, watch.check)
    for file in weights.files:  # left by another call that was broken off while this one went on
        with contextlib.suppress(OSError):
            (place / (file.name + ".part")).unlink()
    watch.finish()
    return {
        "name": name,
        "folder": str(place),
        "installed": [file.name for file in brought],
        "bytes": sum(file.size for file in brought),
    }


def listing() -> list[dict[str, Any]]:
    """The networks that can be installed, and the folder of each that is."""
    found = []
    for weights in read_manifest().values():
        place = locate(weights, weights_folder())
        found.append(
            {
                "name": weights.name,
                "title": weights.title,
                "licence": weights.licence,
                "bytes": weights.size,
                "folder": None if place is None else str(place),
                "published": bool(weights.url),
            }
        )
    return found


def with_network(row: Row, mode: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Settings that name the folders of the networks that a method, and its reference, run where installed.

    Those that came along are found by the method itself; those that the settings name are taken.

    Raises:
        TerramendError: `weights.absent`, or `weights.changed` for a file that is not the pinned one.
    """
    given = dict(settings)
    for setting, one in (("weights", row), ("reference_weights", find(settings.get("reference", "")))):
        if one is None or mode not in one.networks or setting in settings:
            continue
        place = _installed(one.networks[mode], one.name)
        if place.parent != PACKAGED:
            given[setting] = str(place)
    return given


def _installed(name: str, model: str) -> Path:
    """The folder of a network, as it is pinned. Raises as `with_network`."""
    weights = read_manifest()[name]
    place = locate(weights, weights_folder())
    if place is not None:
        return place
    for folder in filter(None, (PACKAGED, weights_folder())):
        for path in (folder / name / file.name for file in lacking(weights, folder / name)):
            if os.path.exists(path):  # noqa: PTH110 - no error for a folder that is closed
                raise TerramendError("weights.changed", model=model, name=name, path=str(path))
    raise TerramendError("weights.absent", model=model, name=name)


def _new(own: Path | None, name: str) -> Path:
    """The folder of a network below the user's, made where it is not there."""
    if own is None:
        why = "the system knows none of this user"
        raise TerramendError("weights.folder", path="Your home folder", why=why)
    place = own / name
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TerramendError("weights.folder", path=str(place), why=str(error.strerror)) from None
    return place


def _bring(file: File, name: str, source: str, place: Path, watch: Watch, route: Route) -> None:
    part = place / (file.name + ".part")
    begun = part.stat().st_size if part.exists() else 0
    whole = begun <= file.size and _filled(part, begun, file, name, source, watch, route)
    if not whole and begun:  # what lay there was of another file, such as an earlier version's
        part.unlink(missing_ok=True)
        whole = _filled(part, 0, file, name, source, watch, route)
    if not whole:
        part.unlink(missing_ok=True)
        raise TerramendError("weights.hash", file=file.name, source=source)
    with contextlib.suppress(FileNotFoundError):  # the other one has put it in place
        part.replace(place / file.name)


def _filled(part: Path, done: int, file: File, name: str, source: str, watch: Watch, route: Route) -> bool:
    """Bring a file into its `.part`, from byte `done` on; whether that is now the file that is pinned."""
    came = done
    watch.advance(done)
    chunks = _read if "://" not in source else _download
    part.touch()
    with part.open("r+b") as sink:  # another process may write it too: the same bytes at the same places
        for offset, chunk in chunks(source, name, file, done, route) if done < file.size else ():
            watch.check()
            sink.seek(offset)
            sink.write(chunk)
            watch.advance(offset + len(chunk) - came)
            came = offset + len(chunk)
        sink.seek(0)
        right = hashlib.file_digest(sink, "sha256").hexdigest() == file.sha256
    if not right:
        watch.advance(-came)
    return right


def _read(source: str, name: str, file: File, done: int, _: Route) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of a file in a local folder, which may be the network's own."""
    folder = Path(os.path.expanduser(source))  # noqa: PTH111 - ~NAME stays where nobody is called so
    path = next((path for path in (folder / name / file.name, folder / file.name) if path.is_file()), None)
    if path is None:
        raise TerramendError("weights.missing", file=file.name, folder=source)
    with path.open("rb") as stream:
        stream.seek(done)
        while chunk := stream.read(CHUNK):
            yield done, chunk
            done += len(chunk)


def _download(source: str, name: str, file: File, done: int, route: Route) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of a file on a server, from byte `done` on where it can do that."""
    address = _address(source, file.name)
    headers = {"User-Agent": f"terramend/{VERSION}", **({"Range": f"bytes={done}-"} if done else {})}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 (scheme checked)
    try:
        with route.open(request, TIMEOUT) as answer:
            offset = done if answer.status == 206 else 0
            while chunk := answer.read1(CHUNK):  # what is there: a slow server can be left
                yield offset, chunk
                offset += len(chunk)
                if offset > file.size:  # it is another file, as its hash will show
                    return
            if offset < file.size:  # some breaks look like an end
                why = f"it ended after {offset} of {file.size} bytes"
                raise TerramendError("weights.download", address=address, why=why)
    except (OSError, http.client.HTTPException, ValueError) as error:  # the last: of a redirect to no address
        if isinstance(error, urllib.error.HTTPError) and error.code in REFUSALS:
            raise TerramendError("weights.refused", address=address, why=reason(error)) from None
        cause = getattr(error, "reason", None)  # what urllib wraps, such as a connection that is refused
        why = reason(cause if isinstance(cause, OSError) else error)
        raise TerramendError("weights.download", address=address, why=why) from None


def _address(source: str, name: str) -> str:
    """The address of a file in a folder on a server; what an address cannot hold is written as %XX.

    Raises:
        TerramendError: `weights.address`.
    """
    try:
        parts = urllib.parse.urlsplit(source)
    except ValueError:  # brackets around no IPv6 address
        parts = urllib.parse.SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise TerramendError("weights.address", address=source)
    path = urllib.parse.quote(f"{parts.path.rstrip('/')}/{name}", safe="/%:@!$&'()*+,;=~")
    return parts._replace(path=path).geturl()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
