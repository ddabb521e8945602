"""Which kind of mask a file or band is, by its name."""

from __future__ import annotations

import re
from functools import lru_cache

WORDS = r"(mask|clouds?(?![_-](free|removed))|gaps?(?![_-]filled))"
"""A word that says mask but not which kind; what was freed of clouds or gaps is none."""

_KINDS = (
    (r"qa_?pixel|pixel_?qa", "qa_pixel"),
    (r"(^|[^a-z])bqa([^a-z]|$)", "bqa"),
    (r"(^|[^a-z])scl([^a-z]|$)|scene_?classif", "scl"),
    (r"hls.*[^a-z]fmask", "hls_fmask"),
    (r"(^|[^a-z]|mtl|c)fmask", "fmask"),  # a "refmask" is the mask of a reference
    (r"cld_?prb|cloud[_ ]?prob(ability)?|(^|[^a-z])clp([^a-z]|$)", "cloudprob"),
    (r"(^|[^a-z0-9])qa60([^a-z0-9]|$)|msk_?classi", "qa60"),
    (r"udm2", "udm2"),
    (r"(^|[^a-z])clm_(r\d|xs)|(^|[^a-z])mg2", "maja"),
    (r"state_(1km|500m|qa)|sur_refl_state", "modis_state"),
    (r"(^|[^a-z])clm([^a-z]|$)", "clm"),
    (rf"cloud_?mask|clouds?_?shadow|(^|[^a-z]){WORDS}([^a-z]|$)", "auto"),
)
"""Names as the products have them; `auto` where the name says mask but not which."""


def kind_of_file(stem: str) -> str | None:
    """The mask kind that a file's name ends in, None also where it says mask but not which."""
    kind = mask_kind_of("_".join(words_of(stem)[-2:]))
    return None if kind == "auto" else kind


def words_of(stem: str) -> list[str]:
    """The words of a file's name that say what it is.

    Without resolutions, the band number of Sentinel-2's masks, and AppEEARS's day and number at the end.
    """
    words = re.split(r"[^A-Za-z0-9]+", stem)
    return [w for w in words if w and not re.fullmatch(r"\d{2,4}m|\dkm|B00|doy\d{7,}|aid\d{4}", w)]


@lru_cache(maxsize=8192)  # every date of a folder asks about all names in it
def mask_kind_of(name: str) -> str | None:
    """The mask kind (`request.MASK_KINDS`) that a band's or file's name tells, or None."""
    text = re.sub(r"[ .-]+", "_", name.lower())
    for pattern, kind in _KINDS:
        if re.search(pattern, text):
            return kind
    return None
