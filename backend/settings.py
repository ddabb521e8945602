"""What holds on this machine: a flag over the environment over the file over the default.

The file is TOML, `config.toml` in the user's configuration folder (or what
`TERRAMEND_CONFIG` names); the variable of a setting is `TERRAMEND_` and its name in
capitals. Every value knows where it comes from; `terramend doctor` shows it.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

from .errors import TerramendError
from .request import DEVICES, QUALITIES


@dataclass(frozen=True)
class Setting:
    """A setting: how it is read, its default, and a line of help.

    `read` makes a value from text or TOML, and raises ValueError with the reason.
    `in_request` tells that `request.FillRequest` has a field of this name.
    """

    name: str
    read: Callable[[Any], Any]
    default: Any
    metavar: str
    help: str
    in_request: bool = True


@dataclass(frozen=True)
class Value:
    """A setting's value and its origin: `default`, a file, a variable or a flag."""

    value: Any
    origin: str


def whole(value: Any) -> int:
    """A whole number from 0."""
    digits = str(value)
    if isinstance(value, bool) or not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise ValueError("it must be a whole number from 0 to 999999999")
    return int(digits)


def gigabytes(value: Any) -> float:
    """A finite number above 0."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (number > 0 and math.isfinite(number)):
        raise ValueError("it must be a number of gigabytes above 0")
    return number


def text(value: Any) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("it must be text")
    return value


def folder(value: Any) -> str:
    """A path; `~` is the home folder, where there is one."""
    return str(Path(os.path.expanduser(text(value))))  # noqa: PTH111 - ~NAME stays where nobody is called so


def choice(*allowed: str) -> Callable[[Any], str]:
    """A reader that takes one of `allowed`."""

    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"it is none of {', '.join(allowed)}")
        return str(value)

    return read


SETTINGS = (
    Setting(
        "model", text, "auto", "NAME", "reconstruction method, as terramend models lists them (default: auto)"
    ),
    Setting("quality", choice(*QUALITIES), "default", "Q", "speed against accuracy: " + ", ".join(QUALITIES)),
    Setting(
        "device",
        choice(*DEVICES),
        "auto",
        "D",
        "processor for networks, and for guided with references: " + ", ".join(DEVICES),
    ),
    Setting("memory_limit", gigabytes, None, "GB", "memory limit in GB (default: none)"),
    Setting("jobs", whole, 0, "N", "number of tiles computed in parallel; 0 (default): one for each core"),
    Setting("tmp", folder, None, "DIR", "folder for temporary files (default: the system's)"),
    Setting("weights", folder, None, "DIR", "folder of the installed network weights", in_request=False),
)


def resolve(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """Every setting with its value and origin.

    Args:
        flags: values given on the command line, already read; None counts as not given.
        environment: variables; default the process's own.

    Raises:
        TerramendError: `setting.value`, `setting.unknown` or `setting.file`, naming where the fault is.
    """
    environment = os.environ if environment is None else environment
    path = config_path(environment)
    table = _table(path, named=bool(environment.get("TERRAMEND_CONFIG")))
    known = [setting.name for setting in SETTINGS]
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise TerramendError("setting.unknown", name=unknown[0], path=str(path), known=", ".join(known))
    found = {}
    for setting in SETTINGS:
        variable = "TERRAMEND_" + setting.name.upper()
        if flags and flags.get(setting.name) is not None:
            found[setting.name] = Value(flags[setting.name], "--" + setting.name.replace("_", "-"))
        elif environment.get(variable):
            found[setting.name] = _read(setting, environment[variable], variable)
        elif setting.name in table:
            found[setting.name] = _read(setting, table[setting.name], str(path))
        else:
            found[setting.name] = Value(setting.default, "default")
    return found


def for_request(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Fields of a request that environment or file set; what the request says itself wins."""
    held = resolve(environment=environment)
    return {
        setting.name: held[setting.name].value
        for setting in SETTINGS
        if setting.in_request and held[setting.name].origin != "default"
    }


def config_path(environment: Mapping[str, str] | None = None) -> Path | None:
    """Where the settings file is looked for; None for a user without a home folder."""
    environment = os.environ if environment is None else environment
    if environment.get("TERRAMEND_CONFIG"):
        return Path(folder(environment["TERRAMEND_CONFIG"]))
    own = _own_folder("settings", environment)
    return own and own / "config.toml"


def weights_folder() -> Path | None:
    """Where installed networks lie: outside the plugin, which an upgrade replaces; None without a home."""
    chosen = resolve()["weights"].value
    if chosen:
        return Path(chosen)
    own = _own_folder("data", os.environ)
    return own and own / "weights"


_PLACES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "win32": {"settings": ("APPDATA", "AppData", "Roaming"), "data": ("LOCALAPPDATA", "AppData", "Local")},
    "darwin": dict.fromkeys(("settings", "data"), ("", "Library", "Application Support")),
    "linux": {"settings": ("XDG_CONFIG_HOME", ".config"), "data": ("XDG_DATA_HOME", ".local", "share")},
}
"""Of systems: the variable that names the folder of a user's files of a kind, and where it is without it."""


def _own_folder(kind: str, environment: Mapping[str, str]) -> Path | None:
    """Our folder of the user's files of a kind.

    None: the system knows no home of this user, such as one of a container who is but a number.
    """
    variable, *below = _PLACES.get(sys.platform, _PLACES["linux"])[kind]
    if environment.get(variable):
        return Path(environment[variable]) / "terramend"
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    return None if home == "~" else Path(home, *below) / "terramend"


def _table(path: Path | None, named: bool) -> Mapping[str, Any]:
    """What the settings file sets: nothing where none is named, and a closed home does not let us look."""
    if path is None or not (named or os.path.exists(path)):  # noqa: PTH110 - no error for such a home
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        why = "there is no such file, though TERRAMEND_CONFIG names it"
        raise TerramendError("setting.file", path=str(path), why=why) from None
    except (OSError, ValueError, RecursionError) as error:
        raise TerramendError("setting.file", path=str(path), why=str(error)) from None


def _read(setting: Setting, value: Any, origin: str) -> Value:
    try:
        return Value(setting.read(value), origin)
    except ValueError as error:
        raise TerramendError(
            "setting.value", name=setting.name, origin=origin, value=str(value), why=str(error)
        ) from None
