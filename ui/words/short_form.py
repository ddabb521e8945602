"""Sentences for a narrow dock: file names in the place of paths; the tip and the log have them whole."""

from __future__ import annotations

import re
from typing import Any, Mapping

PATHS = ("path", "folder", "file", "first", "sidecar")
"""Arguments of sentences that may be paths."""
HEAD, TAIL = 20, 15
"""Letters that are kept of both ends of a longer name; a Sentinel-2 product's date is among the first."""


def short_form(sentence: str, arguments: Mapping[str, Any]) -> str:
    """The sentence without the folders of what it names, and with the middle of long names left out.

    Args:
        arguments: those of the sentence, whose paths may hold spaces.
    """
    named = [str(arguments[name]) for name in PATHS if name in arguments]
    folders = {folder for path in named for part in path.split(";") if (folder := _folder(part.strip()))}
    for folder in sorted(folders, key=len, reverse=True):
        sentence = re.sub(r"(?<![\w.-])" + re.escape(folder), "", sentence)
    sentence = _ABSOLUTE.sub("", sentence)
    return _LONG.sub(lambda long: f"{long[0][:HEAD]}…{long[0][-TAIL:]}", sentence)


_ABSOLUTE = re.compile(r"(?<![\w.:/\\-])(?:[A-Za-z]:)?[/\\](?:[^\s/\\]+[/\\]+)+")
"""Folders of a path without spaces that stands elsewhere, as in what GDAL says."""

_LONG = re.compile(rf"[^\s()'\"]{{{HEAD + TAIL + 2},}}")


def _folder(path: str) -> str:
    """What stands before the last part of a path or address; empty where that would be nothing to go by."""
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    folder = path.rstrip("/\\")[: -len(name)] if name else ""
    return folder if len(folder) > 1 else ""
