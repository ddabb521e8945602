"""LPIPS: the forward pass against scipy, its properties, and a reader that runs nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import signal
from terramend.backend.evaluation.make_cases import make_cases
from terramend.backend.evaluation.perceptual import STAGES, Perceptual, arrays, convolved
from terramend.backend.evaluation.run import run_evaluate

WIDTHS = (4, 5, 6, 7, 7)


def _weights() -> dict[str, dict]:
    """The layout of vgg16.ckpt with narrow layers."""
    random = np.random.default_rng(1)
    widths = [width for width, count in zip(WIDTHS, STAGES, strict=True) for _ in range(count)]
    layers, before = {}, 3
    for index, width in enumerate(widths):
        kernel = random.normal(0, 0.3, (3, 3, before, width)).astype(np.float32)
        layers[f"Conv_{index}"] = {"kernel": kernel, "bias": random.normal(0, 0.1, width).astype(np.float32)}
        before = width
    lines = {
        f"NetLinLayer_{index}": {"Conv_0": {"kernel": random.random((1, 1, width, 1)).astype(np.float32)}}
        for index, width in enumerate(WIDTHS)
    }
    return {"VGG16_0": layers, **lines}


def _stored(value: object) -> bytes:
    """As numpy 1 wrote it, by which the real file was made."""
    return pickle.dumps(value, protocol=3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


@pytest.fixture(scope="module")
def distance(tmp_path_factory: pytest.TempPathFactory) -> Perceptual:
    """A network of that layout, read from a file like the real one."""
    path = tmp_path_factory.mktemp("weights") / "vgg16.ckpt"
    path.write_bytes(_stored(_weights()))
    return Perceptual.load(path)


def test_convolution_is_that_of_scipy() -> None:
    random = np.random.default_rng(2)
    image = random.normal(size=(3, 9, 11)).astype(np.float32)
    kernel = random.normal(size=(2, 3, 3, 3)).astype(np.float32)
    bias = np.array([0.5, -1], np.float32)
    for out in range(2):
        planes = [signal.correlate2d(image[i], kernel[out, i], mode="same") for i in range(3)]
        expected = np.sum(planes, 0) + bias[out]
        np.testing.assert_allclose(convolved(image, kernel, bias)[out], expected, atol=1e-4)


def test_distance_is_none_to_itself_symmetric_and_local(distance: Perceptual) -> None:
    a, b = np.random.default_rng(3).random((2, 3, 64, 48)).astype(np.float32)
    everywhere = np.ones((64, 48), bool)
    assert distance(a, a, everywhere) == 0
    assert (
        distance(a, b, everywhere) == pytest.approx(distance(b, a, everywhere))
        and distance(a, b, everywhere) > 0
    )
    corner = np.zeros((64, 48), bool)
    corner[:8, :8] = True
    far = a.copy()
    far[:, 60:, 44:] = 1 - far[:, 60:, 44:]
    assert distance(a, far, corner) < 0.2 * distance(a, far, everywhere[::-1] & ~corner)


def test_a_pickle_that_calls_something_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "harmed",))

    path = tmp_path / "vgg16.ckpt"
    for harm in (_stored({"VGG16_0": Harm()}), pickle.dumps(_weights(), protocol=5), _stored({"VGG16_0": 3})):
        path.write_bytes(harm)
        with pytest.raises(ValueError, match=r"no array|expected"):
            Perceptual.load(path)
    assert not (tmp_path / "harmed").exists()


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    stored = _weights()
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(_stored(stored))
    read = arrays(path)
    for name, layer in stored["VGG16_0"].items():
        np.testing.assert_array_equal(read["VGG16_0"][name]["kernel"], layer["kernel"])
    with pytest.raises(ValueError, match="float32"):
        path.write_bytes(_stored({"a": np.zeros(3)}))
        arrays(path)


def test_a_run_looks_at_one_cloud_of_each_place_by_the_weights_of_its_file(
    scenes: Path, tmp_path: Path
) -> None:
    recipe, weights = make_cases(scenes, "scenes", seed=4), _weights()
    runs = []
    for name in ("first.ckpt", "other.ckpt"):
        (tmp_path / name).write_bytes(_stored(weights))
        made = run_evaluate(
            recipe, scenes, tmp_path, tracks=["S"], methods=["band-mean"], jobs=1, lpips=tmp_path / name
        )
        runs.append({row["case"]: row["lpips"] for row in made.rows if "lpips" in row})
        weights["NetLinLayer_0"]["Conv_0"]["kernel"] *= 2
    assert list(runs[0]) == list(runs[1]) == ["fields/east/cloud0", "fields/west/cloud0"]
    assert all(runs[1][case] > value > 0 for case, value in runs[0].items())
