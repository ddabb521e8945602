"""File names in the place of paths."""

from __future__ import annotations

import pytest
from terramend.ui.words.short_form import short_form


@pytest.mark.parametrize(
    ("sentence", "arguments", "short"),
    [
        ("/a b/c d/e.tif is one.", {"path": "/a b/c d/e.tif"}, "e.tif is one."),
        ("D:\\a b\\e.tif is one.", {"path": "D:\\a b\\e.tif"}, "e.tif is one."),
        ("https://host/a/e.tif is one.", {"path": "https://host/a/e.tif"}, "e.tif is one."),
        ("/a b/x.SAFE/ is one.", {"path": "/a b/x.SAFE/"}, "x.SAFE/ is one."),
        ("/a b/1.tif;/a b/2.tif is one.", {"path": "/a b/1.tif;/a b/2.tif"}, "1.tif;2.tif is one."),
        ("/a b/e.tif ('/a b/c/f.tif' gone)", {"path": "/a b/e.tif"}, "e.tif ('c/f.tif' gone)"),
        ("QGIS cannot open /data/x/e.tif.", {}, "QGIS cannot open e.tif."),
        ("It cannot open /vsicurl/http://h:9/a/e.tif.", {}, "It cannot open e.tif."),
        ("data/e.tif and a/f.tif are two.", {"path": "a/f.tif"}, "data/e.tif and f.tif are two."),
        ("/e.tif of 2020/01/02 is one.", {"path": "/e.tif"}, "/e.tif of 2020/01/02 is one."),
        ("It is VV/VH, or 1 / 2.", {"path": "/"}, "It is VV/VH, or 1 / 2."),
        ("in ('" + "x" * 37 + "')", {}, "in ('" + "x" * 20 + "…" + "x" * 15 + "')"),
        ("x" * 36 + " and " + "y" * 20 + "z" * 17, {}, "x" * 36 + " and " + "y" * 20 + "…" + "z" * 15),
    ],
)
def test_short_form(sentence: str, arguments: dict[str, str], short: str) -> None:
    assert short_form(sentence, arguments) == short
