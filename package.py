"""Build the plugin's zip: `python package.py [--out DIR]`, or `make package`.

What goes in is an allow-list, so nothing slips in; the archive is the same bytes for the
same tree (fixed order, times and modes). Of the networks those that were shown to work come
along; experimental ones are installed (`terramend models install`).
"""

from __future__ import annotations

import argparse
import zipfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TOP = "terramend"
ALLOWED = (
    "metadata.txt",
    "LICENSE",
    "CHANGELOG.md",
    "__init__.py",
    "plugin.py",
    "requirements/light.lock",
    "requirements/full.lock",
    "ui/**/*.py",
    "ui/icons/*.svg",
    "docs/*.md",
    "docs/images/dock*.png",
    "docs/images/swipe.png",
    "docs/images/guided.jpg",
    "docs/images/methods_*.jpg",
    "backend/*.py",
    "backend/commands/*.py",
    "backend/distribution/*.py",
    "backend/filling/*.py",
    "backend/messages/*.py",
    "backend/raster/**/*.py",
    "models/**/*.py",
    "models/**/*.md",
    "models/aligndiff/*.json",
    "models/weights/manifest.json",
    *(
        f"models/weights/{network}/{name}"
        for network in ("msda-cr", "align-cr")
        for name in ("*.onnx", "config.json", "card.md")
    ),
)
SIZE_LIMIT = 10 * 2**20  # plugins.qgis.org takes 25 MB
EPOCH = (2020, 1, 1, 0, 0, 0)


def contents(root: Path = ROOT) -> list[Path]:
    """Files of the allow-list that exist, relative to `root`, sorted."""
    found = {path for pattern in ALLOWED for path in root.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(root) for path in found if "__pycache__" not in path.parts)


def version(root: Path = ROOT) -> str:
    """The version in metadata.txt."""
    metadata = ConfigParser(interpolation=None)
    metadata.read_string((root / "metadata.txt").read_text("utf-8"))
    return metadata["general"]["version"]


def build(out: Path, root: Path = ROOT) -> Path:
    """Write `terramend-VERSION.zip` into `out` and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    archive = out / f"{TOP}-{version(root)}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as sink:
        for path in contents(root):
            entry = zipfile.ZipInfo(f"{TOP}/{path.as_posix()}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            sink.writestr(entry, (root / path).read_bytes())
    if archive.stat().st_size > SIZE_LIMIT:
        raise SystemExit(f"{archive} is larger than 10 MB.")
    return archive


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    made = build(parser.parse_args().out)
    print(f"{made} ({made.stat().st_size / 1e6:.1f} MB)")
