"""Copies that QGIS writes for the backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsFeature,
    QgsFeedback,
    QgsGeometry,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)
from terramend.ui.layers.conversions import Export, SourceError
from terramend.ui.words.messages import ClientError


def polygons(field: str = "") -> QgsVectorLayer:
    """A scratch layer with two features that have the same attributes."""
    made = QgsVectorLayer(f"Polygon?crs=EPSG:4326{field}", "drawn by hand", "memory")
    for _ in range(2):
        feature = QgsFeature(made.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(2.8, 42.33, 2.81, 42.34)))
        feature.setAttributes([1] * len(made.fields()))
        made.dataProvider().addFeature(feature)
    return made


def export(layer: QgsVectorLayer, path: Path) -> Export:
    return Export(QgsVectorLayerFeatureSource(layer), layer.wkbType(), layer.crs(), str(path), layer.name())


def test_an_export_of_polygons_can_be_stopped(qgis_app: Any, tmp_path: Path) -> None:
    feedback = QgsFeedback()
    feedback.cancel()
    with pytest.raises(ClientError) as stopped:
        export(polygons(), tmp_path / "drawn.gpkg").run(feedback)
    assert stopped.value.cancelled


def test_polygons_that_find_no_room_are_told(qgis_app: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="The polygons of drawn by hand could not be exported: "):
        export(polygons(), tmp_path / "gone" / "drawn.gpkg").run(QgsFeedback())


@pytest.mark.parametrize("kind", ["integer", "string"])
def test_a_column_called_fid_is_no_hindrance(qgis_app: Any, tmp_path: Path, kind: str) -> None:
    """Layers that were merged or imported have one, with the same numbers again."""
    made, path = polygons(f"&field=fid:{kind}"), tmp_path / "merged.gpkg"
    assert made.featureCount() == 2
    export(made, path).run(QgsFeedback())
    assert QgsVectorLayer(str(path), "saved").featureCount() == 2
