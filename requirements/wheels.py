"""Whether the index has wheels of all pinned packages for every machine and Python that we say it works on.

Run by `make lock`. pip would build from sources where there is none, and fail on an analyst's machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from terramend.ui.installation.base_python import OLDEST, newest_for
from terramend.ui.installation.environment import Variant, requirements

LIGHT, FULL, GPU = Variant(), Variant(full=True), Variant(gpu=True)
TARGETS = (
    ("linux", "x86_64", "x86_64-manylinux_2_28", (LIGHT, FULL, GPU)),
    ("linux", "aarch64", "aarch64-manylinux_2_28", (LIGHT, FULL)),
    ("win32", "AMD64", "x86_64-pc-windows-msvc", (LIGHT, FULL, GPU)),
    ("darwin", "arm64", "aarch64-apple-darwin", (LIGHT, FULL)),
    ("darwin", "x86_64", "x86_64-apple-darwin", (LIGHT,)),
)
"""`sys.platform`, `platform.machine()`, what uv calls it, and what can be installed there."""
MACOS = {"arm64": "14.0", "x86_64": "15.0"}
"""The oldest macOS that the packages are built for."""


def missing(machine: str, target: str, version: str, variant: Variant, uv: str) -> str:
    """What uv says of a machine that cannot install all from wheels, empty where it can."""
    command = [uv, "pip", "compile", "-q", "--only-binary", ":all:", "--python-version", version]
    environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS.get(machine, "")}
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        pins.write_text("\n".join(requirements(variant)), "utf-8")
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*command, "--python-platform", target, str(pins)],
            capture_output=True, text=True, env=environment,
        )  # fmt: skip
    return "" if done.returncode == 0 else " ".join(done.stderr.split())


def main(uv: str) -> int:
    """Print a line for each machine, Python and variant; 1 where something is missing."""
    failed = False
    for system, machine, target, variants in TARGETS:
        newest = newest_for(system, machine) or OLDEST
        for variant in variants:
            for minor in range(OLDEST[1], newest[1] + 1):
                lack = missing(machine, target, f"3.{minor}", variant, uv)
                print(f"{target}, 3.{minor}, {variant}: {lack or 'all wheels there'}", flush=True)
                failed = failed or bool(lack)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
