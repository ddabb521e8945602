"""From codes to sentences in the user's language.

The backend sends codes with arguments; the English templates live in `backend.errors` and
nowhere else. Here they go through `tr()` before the arguments are put in.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping, Optional

from ...backend.errors import CANCELLED, ERRORS, INTERNAL, NOTICES
from ..tr import tr
from .option_words import field_sentence, in_windows
from .short_form import short_form


class ClientError(Exception):
    """What went wrong, as the user should read it.

    Args:
        code: key of `backend.errors.ERRORS` (one of another version is kept as it came).
        arguments: values of the sentence's placeholders.
        message: the backend's English sentence, shown when the code is not known here.
        log: more for the log, such as the backend's last words.

    Attributes:
        sentence: the translated sentence, which is `str(error)` too.
        exit_status: as the command line would give it.
    """

    def __init__(
        self, code: str, arguments: Optional[Mapping[str, Any]] = None, message: str = "", log: str = ""
    ) -> None:
        self.code = code
        self.arguments = dict(arguments or {})
        self.exit_status = ERRORS[code][0] if code in ERRORS else INTERNAL
        self.sentence = error_sentence(code, self.arguments, message)
        self.log = log
        super().__init__(self.sentence)

    @property
    def cancelled(self) -> bool:
        """Whether this is the user's own cancel, which needs no alarm."""
        return self.exit_status == CANCELLED


def error_sentence(code: str, arguments: Mapping[str, Any], message: str = "") -> str:
    """The sentence of an error; `message` (the backend's English) where the code is not known."""
    if code == "request.field":
        said = field_sentence(arguments)
        if said:
            return said
    return _fill(ERRORS[code][1] if code in ERRORS else "", arguments, message or code)


def notice_sentence(notice: Mapping[str, Any]) -> str:
    """The sentence of a notice as it stands in results and log notifications."""
    code = str(notice.get("code", ""))
    message = str(notice.get("message", "") or code)
    return _fill(NOTICES.get(code, ""), notice.get("arguments") or {}, message)


def reason_sentence(result: Mapping[str, Any]) -> str:
    """Why a result's method was chosen."""
    return " ".join(notice_sentence(reason) for reason in result["reasons"])


def notice_in_short(notice: Mapping[str, Any]) -> str:
    """The sentence of a notice with file names in the place of paths, and without what is in brackets."""
    arguments = notice.get("arguments") or {}
    told = arguments.get("told", {})  # of one grid
    named = {**arguments, **told.get("arguments", {})}
    return _BRACKETS.sub("", short_form(notice_sentence(notice), named))


_BRACKETS = re.compile(r" \((?:[^()]|\([^()]*\))*\)")


def told_in_windows(result: Mapping[str, Any]) -> Dict[str, Any]:
    """A result of the backend whose notices say what analysts see in the windows, in their language."""
    notices = [{**notice, "message": notice_sentence(notice)} for notice in result.get("notices", ())]
    return {**result, "notices": notices} if notices else dict(result)


def with_layers(told: Any, names: Mapping[str, str]) -> Any:
    """What the backend told, with layers in the place of their temporary files, of which nobody has heard.

    Args:
        told: a notice, notices or an error. names: of the layers, by the path of the file.
    """
    if isinstance(told, ClientError):
        return ClientError(told.code, with_layers(told.arguments, names), told.sentence, told.log)
    if isinstance(told, Mapping):
        return {key: with_layers(value, names) for key, value in told.items()}
    if isinstance(told, list):
        return [with_layers(value, names) for value in told]
    for path, name in names.items() if isinstance(told, str) else ():
        told = told.replace(path, name)
    return told


_SPANS = {
    "wait": (0, 0),
    "open": (0, 0.5),
    "list": (0.5, 1),
    "dates": (1, 2),
    "footprint": (2, 5),
    "gaps": (5, 8),
    "missed": (8, 10),
    "widen": (10, 12),
    "prepare": (12, 14),
    "learn": (14, 16),
    "fill": (16, 97),
    "check": (16, 100),
    "write": (97, 99),
    "save": (99, 100),
}
"""Stages of a fill, and of a check of its accuracy: percent of the whole at their begin and at their end."""


def stage_title(stage: str) -> str:
    """What a stage does, in the user's language."""
    titles = {
        "wait": tr("Waiting for another run of Terramend to end"),
        "open": tr("Opening the files"),
        "list": tr("Looking into the folder of other dates"),
        "dates": tr("Opening the other dates"),
        "footprint": tr("Finding where there are data"),
        "gaps": tr("Finding the gaps"),
        "missed": tr("Looking for what the masks missed"),
        "widen": tr("Finding what the masks missed"),
        "prepare": tr("Looking at the whole scene"),
        "learn": tr("Learning from it"),
        "fill": tr("Filling"),
        "check": tr("Filling hidden pixels"),
        "write": tr("Writing"),
        "save": tr("Saving"),
        "install": tr("Installing a network"),
    }
    return titles.get(stage, stage.capitalize())


def progress_sentence(progress: Mapping[str, Any]) -> str:
    """Stage, share and time left of a progress notification, as one line."""
    sentence = stage_title(str(progress.get("stage", "")))
    if progress.get("total"):
        share = round(100 * progress["done"] / progress["total"])
        sentence = tr("{stage}: {share} %").format(stage=sentence, share=share)
    if progress.get("eta") is not None:
        sentence += tr(", {time} left").format(time=duration(float(progress["eta"])))
    return sentence


LONG = 10.0
"""Seconds left in a stage from which on a log tells of them."""


def tenths_of_long(progress: Mapping[str, Any]) -> int:
    """How many tenths of a stage are done that takes long; 0 of one that is soon over."""
    if (progress.get("eta") or 0.0) < LONG or not progress.get("total"):
        return 0
    return int(10 * progress["done"] / progress["total"])


def overall_percent(progress: Mapping[str, Any]) -> float:
    """How much of the whole run is done, as far as the stages tell (0 to 100)."""
    begin, end = _SPANS.get(str(progress.get("stage", "")), (0, 100))
    total = progress.get("total") or 0
    done = begin + (end - begin) * min(progress.get("done", 0) / total, 1.0) if total else float(begin)
    first, last = progress.get("span") or (0.0, 1.0)  # of the run, that goes through these stages
    return 100.0 * first + (last - first) * done


def duration(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 90:
        return tr("{seconds} s").format(seconds=round(seconds))
    if seconds < 90 * 60:
        return tr("{minutes} min").format(minutes=round(seconds / 60))
    return tr("{hours} h").format(hours=round(seconds / 3600, 1))


def _fill(template: str, arguments: Mapping[str, Any], fallback: str) -> str:
    if not template:
        return fallback
    try:
        given = {key: notice_sentence(v) if isinstance(v, Mapping) else v for key, v in arguments.items()}
        if "option" in given:
            given["option"] = in_windows(str(given["option"]))
        return in_windows(tr(template)).format(**given)
    except (KeyError, IndexError, ValueError):  # a translation or a backend of another version
        return fallback
