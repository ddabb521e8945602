"""Six classes from WorldCover, four by rule, and how they are scored."""

import numpy as np
import pytest
from terramend.backend.datasets import landcover


def test_worldcover_becomes_the_papers_six():
    codes = np.array([[10, 20, 30, 40, 50, 60], [70, 80, 90, 95, 100, 0]], np.uint8)
    found = [
        [landcover.NAMES[v] if v != 255 else "" for v in row] for row in landcover.from_worldcover(codes)
    ]
    assert found == [
        ["forest", "rangeland", "rangeland", "agriculture", "urban", "barren"],
        ["", "water", "water", "", "", ""],
    ]


def test_rule_tells_water_from_green_and_bare():
    blue, green, red, near = (
        [0.08, 0.04, 0.06, 0.15],
        [0.06, 0.06, 0.08, 0.2],
        [0.04, 0.04, 0.1, 0.25],
        [0.055, 0.4, 0.2, 0.3],
    )
    image = np.array([blue, green, red, near], np.float32)[:, None]
    assert landcover.by_rule(image).tolist() == [[0, 1, 2, 3]]
    image[3, 0, 1] = np.nan
    assert landcover.by_rule(image)[0, 1] == landcover.UNKNOWN


def test_confusion_and_accuracy_by_hand():
    truth = np.array([0, 0, 1, 1, 1, 255], np.uint8)
    found = np.array([0, 2, 1, 1, 0, 0], np.uint8)
    matrix = landcover.confusion(found, truth, 3)
    assert matrix.tolist() == [[1, 0, 1], [1, 2, 0], [0, 0, 0]]
    union, right = landcover.accuracy(matrix)
    assert right == pytest.approx(3 / 5) and union == pytest.approx((1 / 3 + 2 / 3) / 2)  # 2 never occurs
    assert np.isnan(landcover.accuracy(np.zeros((3, 3), int))).all()
