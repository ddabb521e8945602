"""The managed Python environment of the backend: what is in it, where it lies, in which state.

No Qt here. The environment is built beside its place and moved there when it is proven to
work (`installer`), so it exists whole or not at all.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import List, Optional

LOCKS = Path(__file__).resolve().parents[2] / "requirements"
MARKER = "terramend.json"
"""Written last: the variant and the hash of its requirements. Without it, it is no environment."""
_FULL = ("torch", "diffusers", "peft", "transformers", "accelerate", "safetensors")


@dataclass(frozen=True)
class Variant:
    """What is installed: `full` adds torch and its company, `gpu` takes the CUDA builds."""

    full: bool = False
    gpu: bool = False

    @property
    def download_mb(self) -> int:
        """About how much is downloaded."""
        return 170 + 1000 * self.gpu + (450 + 2000 * self.gpu) * self.full

    @property
    def disk_mb(self) -> int:
        """About how much it takes on the disk."""
        return 580 + 2200 * self.gpu + (1500 + 4000 * self.gpu) * self.full


class State(enum.Enum):
    """In which state the managed environment is."""

    ABSENT = "absent"
    BROKEN = "broken"  # its base Python is gone, or it was tampered with
    OUTDATED = "outdated"  # made for other requirements than this version's
    READY = "ready"


def requirements(variant: Variant) -> List[str]:
    """The pinned requirements of a variant, as lines that pip reads.

    The light lock file is the ground. `gpu` replaces ONNX Runtime by the build that brings
    CUDA (the two share one module, so exactly one is installed); `full` adds torch's company
    in the versions of the full lock file.
    """
    lines = _pins("light.lock")
    if variant.gpu:
        lines = [re.sub(r"^onnxruntime==", "onnxruntime-gpu[cuda,cudnn]==", line) for line in lines]
    if variant.full:
        lines += [line for line in _pins("full.lock") if package_name(line) in _FULL]
    return lines


def torch_index(variant: Variant) -> str:
    """The index that has torch in the build of this variant, empty where PyPI has it."""
    if variant.full and not variant.gpu and sys.platform.startswith("linux"):
        return "https://download.pytorch.org/whl/cpu"  # PyPI's build for Linux brings CUDA along
    if variant.full and variant.gpu and sys.platform == "win32":
        return "https://download.pytorch.org/whl/cu130"  # PyPI's build for Windows is without
    return ""


def package_name(requirement: str) -> str:
    """The package that a requirement line is about, as indexes spell it."""
    return re.split(r"[\[<>=!~; ]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def requirements_hash(variant: Variant) -> str:
    """SHA-256 of the requirements of a variant."""
    return hashlib.sha256("\n".join(requirements(variant)).encode()).hexdigest()


def environment_python(folder: Path) -> Path:
    """The interpreter inside an environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def write_marker(folder: Path, variant: Variant) -> None:
    """Declare the environment whole."""
    marker = {**asdict(variant), "requirements": requirements_hash(variant)}
    (folder / MARKER).write_text(json.dumps(marker), "utf-8")


def installed_variant(folder: Path) -> Optional[Variant]:
    """The variant that its marker names, None where there is no readable marker."""
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
        return Variant(full=bool(marker["full"]), gpu=bool(marker["gpu"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def state(folder: Path) -> State:
    """In which state the environment at `folder` is (reads two small files, runs nothing)."""
    if not folder.exists():
        return State.ABSENT
    variant = installed_variant(folder)
    if variant is None or not environment_python(folder).exists():
        return State.BROKEN
    marker = json.loads((folder / MARKER).read_text("utf-8"))
    return State.READY if marker.get("requirements") == requirements_hash(variant) else State.OUTDATED


def remove(folder: Path) -> None:
    """Delete an environment. Anything else at that place is left alone.

    Raises:
        OSError: a file is in use (on Windows: by a backend that still runs).
    """
    for place in (folder, building_place(folder)):
        if (place / "pyvenv.cfg").exists() or (place / MARKER).exists():
            with contextlib.suppress(FileNotFoundError):
                (place / MARKER).unlink()  # first: half removed is not whole
            shutil.rmtree(place)


def building_place(folder: Path) -> Path:
    """Where an environment is built before it is moved to `folder`."""
    return folder.with_name(folder.name + ".new")


def _pins(lock: str) -> List[str]:
    lines = (LOCKS / lock).read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
