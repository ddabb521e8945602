"""The foot of the dock: what would be filled, the buttons, progress, and the device line."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from ..icon import icon
from ..tr import tr
from ..words.inspection import literal
from ..words.messages import notice_in_short, notice_sentence, overall_percent, progress_sentence
from .narrow import narrow_column
from .quiet import QuietLabel

NOTICE = 140
"""Most characters of a notice above the buttons; the tip and the log have it whole."""


class RunBar(QWidget):
    """Preview, Fill and Cancel; it only says and asks, the dock does."""

    preview_asked = pyqtSignal()
    fill_asked = pyqtSignal()
    cancel_asked = pyqtSignal()
    batch_asked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.estimate = QLabel()
        self.estimate.setTextFormat(Qt.TextFormat.RichText)  # what is put in is escaped
        self.estimate.setWordWrap(True)
        self.estimate.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.notices = QuietLabel()
        self.notices.hide()
        self.preview = QPushButton(tr("Preview"))
        self.preview.setToolTip(tr("Fills what the map shows to a temporary layer; nothing is saved"))
        self.fill = QPushButton(tr("Fill"))
        self.fill.setIcon(icon("terramend"))
        self.fill.setDefault(True)
        font = self.fill.font()
        font.setBold(True)
        self.fill.setFont(font)
        for button, beside in (
            (self.preview, 20),
            (self.fill, 44),
        ):  # styles ask for more than that
            button.ensurePolished()
            button.setMinimumWidth(button.fontMetrics().horizontalAdvance(button.text()) + beside)
        self.cancel = QPushButton(tr("Cancel"))
        self._pressed = self.fill  # what began the run
        self.compare = QToolButton()
        self.compare.setIcon(icon("swipe"))
        self.compare.setText(tr("Compare"))  # read out, not shown beside the icon
        self.compare.setAccessibleName(tr("Compare before and after"))
        self.compare.setCheckable(True)
        self.compare.setToolTip(
            tr("Before / after: drag a line over the map (arrow keys move it, V and H turn it, Esc ends)")
        )
        self.batch = QToolButton()
        self.batch.setText(tr("Batch…"))
        self.batch.setToolTip(tr("Opens the batch dialog with these choices, to fill many scenes"))
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.setAccessibleName(tr("Progress"))
        self.stage = QuietLabel()
        self.device = QuietLabel()
        buttons = self._buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.preview)
        buttons.addWidget(self.fill, 1)
        buttons.addWidget(self.compare)
        buttons.addWidget(self.batch)
        column = narrow_column(self)
        column.addWidget(self.estimate)
        column.addWidget(self.notices)
        column.addLayout(buttons)
        running = QHBoxLayout()
        running.addWidget(self.progress, 1)
        running.addWidget(self.cancel)
        column.addLayout(running)
        column.addWidget(self.stage)
        column.addWidget(self.device)
        self.preview.clicked.connect(self.preview_asked)
        self.fill.clicked.connect(self.fill_asked)
        self.cancel.clicked.connect(self.cancel_asked)
        self.batch.clicked.connect(self.batch_asked)
        self.set_running(False)

    def add_button(self, button: QWidget) -> None:
        """Add a button after the others."""
        self._buttons.addWidget(button)

    def show_estimate(self, text: str, whole: str = "") -> None:
        """Say what would be filled, or why that is not known (HTML); `whole`, for the tip, is plain."""
        self.estimate.setText(text)
        self.estimate.setToolTip(literal(whole))

    def show_notices(self, notices: Sequence[Mapping[str, Any]]) -> None:
        """Show what should be known before or after filling: the first in short, all in the tip."""
        sentences = [notice_sentence(notice) for notice in notices]
        first = notice_in_short(notices[0]) if notices else ""
        short = first if len(first) <= NOTICE else first[:NOTICE].rsplit(" ", 1)[0] + " …"
        more = tr(" (and {count} more)").format(count=len(sentences) - 1) if len(sentences) > 1 else ""
        self.notices.setText(f"⚠ {short}{more}")
        self.notices.setToolTip(literal("\n".join(sentences)))
        self.notices.setVisible(bool(sentences))

    def set_running(self, running: bool) -> None:
        """Offer what makes sense: a run is cancelled or started. The keyboard goes along, and comes back."""
        pressed = next((button for button in (self.preview, self.fill) if button.hasFocus()), None)
        self.preview.setEnabled(not running)
        self.fill.setEnabled(not running)
        if not running and self.cancel.hasFocus():
            self._pressed.setFocus()
        self.cancel.setEnabled(running)
        self.cancel.setVisible(running)
        if running and pressed is not None:
            self._pressed = pressed
            self.cancel.setFocus()
        self.progress.setVisible(running)
        self.stage.setVisible(running)
        if running:
            self.progress.setRange(0, 0)
            self.stage.setText(tr("Starting…"))

    def show_progress(self, progress: Mapping[str, Any]) -> None:
        """Show stage, count and time left."""
        self.progress.setRange(0, 100)
        self.progress.setValue(round(overall_percent(progress)))
        self.stage.setText(progress_sentence(progress))
