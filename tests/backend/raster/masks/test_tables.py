"""The tables, and the page that shows them to users."""

import re

import pytest
from terramend.backend.raster.masks import tables
from terramend.backend.request import CLASSES, MASK_KINDS


@pytest.fixture(scope="module")
def page(root):
    """Kind to (classes, growth) as the user guide has them."""
    rows = {}
    for line in (root / "docs" / "masks.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.replace(r"\|", "/").strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            for kind in re.findall(r"`([a-z0-9_]+)", cells[0]):
                rows[kind] = (cells[2], cells[3])
    return rows


def test_the_guide_names_every_kind(page):
    assert set(page) == set(MASK_KINDS) - {"auto"}


@pytest.mark.parametrize("kind", tables.LAYOUTS)
def test_the_guide_has_the_classes_and_growth_of_the_tables(page, kind):
    layout = tables.LAYOUTS[kind][0]
    assert page[kind] == (", ".join(c for c in CLASSES if c in layout.classes), f"{layout.growth:g}")


def test_the_guide_has_the_probabilities(page):
    assert page["cloudprob"] == ("cloud", f"{tables.CLOUD_PROBABILITY_GROWTH:g}")
    assert {page[kind] for kind in tables.PLAIN_KINDS} == {("", "0")}


@pytest.mark.parametrize("layout", [found for group in tables.LAYOUTS.values() for found in group])
def test_layouts_are_whole(layout):
    assert layout.source
    assert layout in tables.LAYOUTS[layout.kind]
    assert "cloud" in layout.classes
    assert set(layout.classes) <= set(CLASSES)
    for field in [field for fields in (*layout.classes.values(), layout.fill) for field in fields]:
        assert field.first + field.width <= 16
        assert all(0 <= v < (1 << (field.width or 16)) for v in field.values)
