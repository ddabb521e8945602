"""The one door to Qt's translations: `tr("English sentence")`."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

CONTEXT = "Terramend"


def tr(text: str) -> str:
    """The sentence in the user's language, or the English one when no translation is loaded."""
    return str(QCoreApplication.translate(CONTEXT, text))
