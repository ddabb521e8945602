"""Options of the command line as the windows call them: one sentence serves both."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping

from ..tr import tr


def in_windows(sentence: str) -> str:
    """The sentence with what the analyst sees in the place of options; others stay as they are."""
    words = _words()
    pattern = "|".join(re.escape(option) + r"(?![\w-])" for option in sorted(words, key=len, reverse=True))
    return re.sub(pattern, lambda found: words[found.group()], sentence)


def field_sentence(arguments: Mapping[str, Any]) -> str:
    """A fault in a field of the request, said of what the analyst sees; else empty."""
    label = _fields().get(str(arguments.get("field")), "")
    return tr("{label}: {why}.").format(label=label, why=arguments.get("why")) if label else ""


def _fields() -> Dict[str, str]:
    return {
        "target": tr("Raster to fill"),
        "output": tr("Save to"),
        "gaps": tr("Gap masks"),
        "gaps.kind": tr("Kind of gap masks"),
        "grow": tr("Widen by"),
        "references": tr("Other dates"),
        "sun": tr("Sun"),
        "date": tr("Date"),
        "bands": tr("Bands to fill"),
        "seed": tr("Random seed"),
        "creation_options": tr("GeoTIFF options"),
    }


def _words() -> Dict[str, str]:
    return {
        "--sun AZIMUTH,ELEVATION": tr("“Sun”, as azimuth,elevation"),
        "--gaps": tr("the gap masks"),
        "--gaps-kind": tr("“Kind of gap masks” (in the dock the list beside it)"),
        "--reference-gaps-kind none": tr("“clear everywhere” (kind none)"),
        "by --references": tr("as such"),
        "--references-clear": tr("“Folder's unmasked dates are clear”"),
        "--reference-gaps-kind": tr("“Kind of the other dates' masks”"),
        "--reference-gaps": tr("“Its gaps” (in the toolbox “Gap masks of the other dates”)"),
        "--reference": tr("another date"),
        "--dem": tr("an elevation model"),
        "--sar": tr("a radar scene"),
        "--own-mask": tr("“Detect” in the first row of masks (“The raster's own mask counts too”)"),
        "--missed": tr("“Fill what the masks missed, too”"),
        "--grow": tr("“Widen by”"),
        "--fill-swath-edges": tr("“Fill stripes open to the edge too”"),
        "--unfilled nodata": tr("“becomes nodata”"),
        "--unfilled keep": tr("“keeps its value”"),
        "--bands": tr("“Bands to fill” (in the toolbox)"),
        "--model auto": tr("“Choose by itself” (auto)"),
        "what --device says": tr("what “Runs on” says"),
        "--device auto": tr("“Fastest that works” (auto)"),
        "--set weights=FOLDER": tr("weights=FOLDER to the settings of the method"),
        "mend --set weights": tr("mend weights among the settings of the method"),
        "--jobs": tr("jobs in the settings file"),
        "--jobs or --memory-limit": tr("jobs or memory_limit in the settings file"),
        "--memory-limit": tr("memory_limit in the settings file"),
        "terramend models lists all": tr("“Method” lists all"),
        "terramend models {model} says": tr("“Advanced” in Terramend's dock says"),
        "run terramend models install {name}": tr(
            "choose it in Terramend's dock (experimental ones by “More”) and press “Install its network”"
        ),
        "choose a folder or another address by --from": tr("choose “From a folder…”"),
        "choose its folder by --from": tr("choose its folder by “From a folder…”"),
        "choose a folder by --from": tr("choose “From a folder…”"),
        "mend --from": tr("choose another by “From a folder…”"),
        "--tmp": tr("tmp in the settings file"),
    }
