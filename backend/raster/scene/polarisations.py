"""Radar that comes as a file a polarisation: VV and VH beside each other, their names alike."""

from __future__ import annotations

import os
import re
from pathlib import Path

_WORD = re.compile(r"(?<![A-Z])V[VH](?![A-Z])", re.IGNORECASE)
_OTHER = str.maketrans("VHvh", "HVhv")


def is_named(text: str, polarisation: str) -> bool:
    """Whether `VV` or `VH` is a word of a text."""
    return polarisation in (word.upper() for word in _WORD.findall(text))


def files_of(path: str | None) -> tuple[str, ...]:
    """The files of what `--sar` names: it, and that of the other polarisation where one lies beside it."""
    if not path:
        return ()
    file = Path(path)
    named = {word.upper() for word in _WORD.findall(file.name)}
    other = file.with_name(_WORD.sub(lambda word: word[0][0] + word[0][1].translate(_OTHER), file.name))
    both = len(named) == 1 and os.path.isfile(path) and os.path.isfile(other)  # noqa: PTH113 - of any name
    return (path, str(other)) if both else (path,)
