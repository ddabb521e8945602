"""What the values of a mask mean: a list of the usual kinds, and text for any other."""

from __future__ import annotations

from typing import Dict, Optional

from qgis.PyQt.QtWidgets import QComboBox

from ..tr import tr
from .narrow import make_narrow


def kind_titles() -> Dict[str, str]:
    """Mask kinds as people know them."""
    return {
        "auto": tr("Auto"),
        "nonzero": tr("not 0"),
        "zero": tr("0"),
        "nodata": tr("nodata"),
        "value=1": tr("1 (or type value=2,3)"),
        "scl": tr("Sentinel-2 SCL"),
        "qa_pixel": tr("Landsat Collection 2 QA_PIXEL"),
        "bqa": tr("Landsat Collection 1 BQA"),
        "fmask": tr("Fmask"),
        "hls_fmask": tr("HLS Fmask"),
        "clm": tr("Cloud mask CLM"),
        "cloudprob": tr("Cloud probability"),
        "qa60": tr("Sentinel-2 QA60"),
        "udm2": tr("Planet UDM2"),
        "maja": tr("MAJA"),
        "modis_state": tr("MODIS state"),
    }


class MaskKindBox(QComboBox):
    """A kind of mask, chosen or typed."""

    def __init__(self) -> None:
        super().__init__()
        make_narrow(self)
        self.setAccessibleName(tr("What the mask's values mean"))
        self.setToolTip(tr("Which values of the mask are gaps, or whose classes they are"))
        for name, title in kind_titles().items():
            self.addItem(title, name)
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)

    def kind(self) -> str:
        """The kind as requests name it."""
        index = self.findText(self.currentText())
        return str(self.itemData(index)) if index >= 0 else self.currentText().strip()

    def show_kind(self, kind: str) -> None:
        """Show a kind, also one that is not in the list."""
        index = self.findData(kind)
        if index >= 0:
            self.setCurrentIndex(index)
        else:
            self.setEditText(kind)

    def show_recognised(self, kind: Optional[str]) -> None:
        """Say what `auto` turned out to be; None: not known yet."""
        titles = kind_titles()
        told = titles["auto"] if kind is None else tr("Auto: {kind}").format(kind=titles.get(kind, kind))
        self.setItemText(0, told)
