"""The tags that tell where an output's values come from: enough to repeat the run."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..request import FillRequest, canonical_json, request_hash, semantic_fields
from ..version import VERSION
from .outputs import local_files

NOTE = (
    "Filled pixels are estimates from other pixels, dates or data; "
    "they are no evidence that nothing changed on the ground."
)


@dataclass(frozen=True)
class Origin:
    """What is written into the tags of every output of a run.

    Nothing in here may depend on when, how fast or with how many workers the run went.
    """

    request: FillRequest
    model: str
    model_reason: str
    tried: tuple[Mapping[str, Any], ...]
    device: str
    provider: str | None
    weights_sha256: str | None
    state: str
    gap_fraction: float
    dates: tuple[Mapping[str, str | None], ...]
    credits: tuple[str, ...]
    inputs: tuple[Mapping[str, Any], ...]

    def tags(self) -> dict[str, str]:
        """GeoTIFF tags; `TERRAMEND_REQUEST` restores the settings of the run."""
        tags = {
            "VERSION": VERSION,
            "REQUEST_HASH": request_hash(self.request),
            "REQUEST": canonical_json(semantic_fields(self.request)),
            "MODEL": self.model,
            "MODEL_REASON": self.model_reason,
            "STATE_SHA256": self.state,
            "QUALITY": self.request.quality,
            "SEED": str(self.request.seed),
            "DEVICE": self.device,
            "GAP_FRACTION": f"{self.gap_fraction:.6f}",
            "DATES": json.dumps(self.dates, sort_keys=True),
            "INPUTS": json.dumps(self.inputs, sort_keys=True),
            "NOTE": NOTE,
        }
        if self.tried:
            tags["TRIED"] = json.dumps(self.tried, sort_keys=True)
        if self.provider:
            tags["PROVIDER"] = self.provider
        if self.weights_sha256:
            tags["WEIGHTS_SHA256"] = self.weights_sha256
        if self.credits:
            tags["CREDITS"] = "; ".join(self.credits)
        return {f"TERRAMEND_{key}": text for key, text in tags.items()}


def describe_inputs(names: Iterable[str], whole_hash: bool) -> dict[Path, dict[str, Any]]:
    """Name, size and time of change (UTC) of each input file, once, in the given order.

    Args:
        names: paths or GDAL names. whole_hash: add the SHA-256 of the content.
    """
    described: dict[Path, dict[str, Any]] = {}
    for name in names:
        for path in local_files(name):
            if path not in described:
                described[path] = _describe(path, whole_hash)
    return described


def marked(files: Mapping[Path, Mapping[str, Any]], unused: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    """What `describe_inputs` told; files that only `unused` names read are `left_out`.

    They stay, because a batch must see when one of them was mended.
    """
    left = {path for name in unused for path in local_files(name)}
    return tuple({**entry, "left_out": True} if path in left else entry for path, entry in files.items())


def _describe(path: Path, whole_hash: bool) -> dict[str, Any]:
    state = path.stat()
    changed = datetime.datetime.fromtimestamp(int(state.st_mtime), datetime.timezone.utc)
    entry = {
        "name": path.name,
        "size": state.st_size,
        "mtime": changed.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if whole_hash:
        with path.open("rb") as file:
            entry["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return entry
