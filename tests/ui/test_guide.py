"""The user guide in QGIS: every page, picture and link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QDialogButtonBox
from terramend.ui import guide as module

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")


@pytest.fixture
def guide(qgis_app: Any) -> Iterator[module.Guide]:
    made = module.Guide()
    yield made
    made.close()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_show_as_text_with_their_pictures_and_links(
    guide: module.Guide, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside: list[str] = []
    monkeypatch.setattr(module.QDesktopServices, "openUrl", lambda url: outside.append(url.toString()))
    guide.show_page(path.name)
    text, written = guide.browser.toPlainText(), path.read_text("utf-8")
    assert written.startswith(f"# {text.splitlines()[0]}\n") and "](" not in text
    assert guide.browser.horizontalScrollBar().maximum() == 0 or not PICTURE.search(written)
    room = guide.browser.viewport().width()
    for name in PICTURE.findall(written):
        picture = guide.browser.loadResource(2, QUrl.fromLocalFile(str(path.parent / name)))
        assert 0.5 * room < picture.width() <= room, name
    here = QUrl.fromLocalFile(str(path))
    for link in LINK.findall(written):
        guide.browser.follow(here.resolved(QUrl(link)))
        name, _, heading = link.partition("#")
        if "://" in link:
            assert outside.pop() == link
            continue
        assert Path(guide.browser.source().toLocalFile()).name == name and (path.parent / name).is_file()
        if heading:
            assert module.anchor(guide.browser.textCursor().block().text()) == heading
    assert not outside


def test_a_heading_that_a_link_names_comes_on_top(guide: module.Guide, qgis_app: Any) -> None:
    guide.show_page("index.md")
    assert not guide.back.isEnabled()
    guide.browser.anchorClicked.emit(QUrl(f"{(ROOT / 'docs' / 'fill.md').as_uri()}#before-you-publish"))
    qgis_app.processEvents()
    assert guide.browser.textCursor().block().text() == "Before you publish"
    bar = guide.browser.verticalScrollBar()
    assert guide.browser.cursorRect().top() < 30 or bar.value() == bar.maximum()
    guide.back.click()
    assert guide.browser.toPlainText().startswith("Terramend\n")
    guide.browser.follow(QUrl.fromLocalFile(str(ROOT / "docs" / "fill.md")))
    guide.start.click()
    assert guide.browser.toPlainText().startswith("Terramend\n")


def test_help_in_processing_opens_the_page(
    request: pytest.FixtureRequest,
    qgis_iface: Any,
    qgis_processing: None,
    qgis_new_project: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import processing
    import terramend

    from .test_plugin import Interface

    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None)
    plugin = terramend.classFactory(Interface(qgis_iface))
    plugin.initGui()
    request.addfinalizer(plugin.unload)
    for name, title in (
        ("fillgaps", "Fill a scene"),
        ("makegapmask", "Gap masks"),
        ("checkaccuracy", "How sure"),
    ):
        dialog = processing.createAlgorithmDialog(f"terramend:{name}", {})
        dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Help).click()
        assert plugin.guide.isVisible() and plugin.guide.browser.toPlainText().startswith(title)
    thin_cloud = QgsApplication.processingRegistry().algorithmById("terramend:removethincloud")
    QDesktopServices.openUrl(QUrl(thin_cloud.helpUrl()))
    assert plugin.guide.browser.textCursor().block().text() == "Thin cloud and haze"
    plugin.actions[-1].trigger()
    assert plugin.guide.browser.toPlainText().startswith("Terramend\n")
    plugin.unload()
    assert plugin.guide is None and not QDesktopServices.openUrl(QUrl(module.address("fill.md")))
