"""terramend:removethincloud, a whole clouded image in and a whole image out."""

from __future__ import annotations

from typing import Any, Dict, List

from ..tr import tr
from .fill_gaps import FillGaps


class RemoveThinCloud(FillGaps):
    """Thin cloud and haze taken off a whole raster; every pixel may change."""

    ID = "removethincloud"
    HELP_PAGE = "methods.md#thin-cloud-and-haze"
    CALL = "clear"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Remove thin cloud")

    def shortDescription(self) -> str:
        """One line."""
        return tr("Removes haze and thin cloud from red, green and blue of a whole raster.")

    def shortHelpString(self) -> str:
        """The text beside the parameters."""
        return tr(
            "Looks through haze and thin cloud: the whole raster is the input, and every pixel of its red, "
            "green and blue bands may change. Other bands stay as they are. With Sentinel-1 radar and the "
            "method align-cr, near and short-wave infrared change too.\n\n"
            "It needs no mask and no other date. Where cloud is thick nothing shines through, and what "
            "stands there afterwards is guessed: make a mask of it and use Fill gaps. Clear images lose a "
            "little too, so use it only where there is haze.\n\n"
            "A changed pixel is an estimate, and no evidence of what was there."
        )

    def tags(self) -> List[str]:
        """Words that find it in the toolbox."""
        return ["thin cloud", "haze", "dehaze", "cirrus", "cloud removal", "clear", "sentinel", "landsat"]

    def initAlgorithm(self, configuration: Dict[str, Any]) -> None:
        """The raster, radar, the method and the outputs: nothing else is asked for."""
        self.add_target(tr("Raster with thin cloud"))
        self.add_radar()
        self.add_method(self.CALL)
        self.add_outputs(tr("Cleared raster"), extras=False)  # msda-cr states none, and all is altered

    def share_label(self) -> str:
        """All that was changed counts."""
        return tr("Changed samples (% of the footprint)")

    def share_sentence(self) -> str:
        """There are no gaps here."""
        return tr("{share:.2f} % of the samples were changed. Device: {device}.")
