"""What `terramend sample` is asked for and cannot do, with the weights that come along."""

from __future__ import annotations

import argparse
import shutil
import threading

import cv2
import numpy as np
import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.training import sample_command
from terramend.backend.watch import Watch
from terramend.models.weights import PACKAGED


def asked(tmp_path, *words: str, watch: Watch | None = None) -> None:
    parser = argparse.ArgumentParser()
    sample_command.add_arguments(parser)
    sample_command.main(parser.parse_args([*words, "-o", str(tmp_path / "s.png")]), watch or Watch())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--count", "0"), "--count is not valid: it must be 1 or more"),
        (("--steps", "501"), "--steps is not valid: it must lie between 1 and 500"),
        (("--size", "7"), "--size is not valid: it must be a multiple of"),
    ],
)
def test_land_that_cannot_be_drawn(words, said, tmp_path) -> None:
    with pytest.raises(TerramendError, match=said):
        asked(tmp_path, "ddpm", "--weights", str(PACKAGED / "ddpm"), *words)


def test_a_picture_is_red_first_and_taken_as_it_is_shown(tmp_path) -> None:
    shown = np.full((4, 4, 3), (10, 60, 200), np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), shown)  # blue first
    image = sample_command._image(tmp_path / "image.png")
    np.testing.assert_allclose(image[:, 0, 0], (np.array([200, 60, 10]) / 255) ** 2.2, rtol=1e-4)


@pytest.mark.parametrize(
    ("weights", "words", "said"),
    [
        ("de-clear", ("--samples", "0"), "--samples is not valid: it must be 1 or more"),
        ("de-clear", ("--limit", "nan"), "--limit is not valid: it must lie between 0 and 1"),
        ("de-clear", ("--steps", "1001"), "--steps is not valid: it must lie between 1 and 1000"),
        ("de-fill", (), "it fills gaps, and an image that is cleared has none"),
    ],
)
def test_an_image_that_cannot_be_cleared(weights, words, said, tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "image.png"), np.full((16, 16, 3), 90, np.uint8))
    with pytest.raises(TerramendError, match=said):
        asked(
            tmp_path,
            "de",
            "--weights",
            str(PACKAGED / weights),
            "--image",
            str(tmp_path / "image.png"),
            *words,
        )
    assert not (tmp_path / "s.png").exists()


@pytest.mark.parametrize("network", ["ddpm", "de"])
def test_a_cancel_does_not_wait_for_the_last_step(network, tmp_path, monkeypatch) -> None:
    watch, done = Watch(), threading.Event()

    def slow(*_: object) -> None:
        watch.cancel()
        done.wait()

    monkeypatch.setattr(sample_command.ddpm.Prior, "draw", slow)
    monkeypatch.setattr(sample_command.Enhancer, "predict", slow)
    cv2.imwrite(str(tmp_path / "image.png"), np.full((16, 16, 3), 90, np.uint8))
    words = ["--image", str(tmp_path / "image.png")] if network == "de" else []
    weights = PACKAGED / ("de-clear" if network == "de" else network)
    try:
        with pytest.raises(TerramendError) as caught:
            asked(tmp_path, network, "--weights", str(weights), *words, watch=watch)
    finally:
        done.set()
    assert caught.value.code == "run.cancelled" and not (tmp_path / "s.png").exists()


@pytest.mark.parametrize(("network", "graph"), [("ddpm", "ddpm.onnx"), ("de-clear", "predictor.onnx")])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config", b""),
        ("config", b"[]"),
        ("config", b"{}"),
        ("config", b"\xff"),
        ("graph", b""),
        ("graph", b"<html>"),
    ],
)
def test_weights_that_are_damaged(network, graph, name, text, tmp_path) -> None:
    run = shutil.copytree(PACKAGED / network, tmp_path / "run")
    (run / (graph if name == "graph" else "config.json")).write_bytes(text)
    cv2.imwrite(str(tmp_path / "image.png"), np.full((16, 16, 3), 90, np.uint8))
    words = ["--image", str(tmp_path / "image.png")] if network == "de-clear" else []
    with pytest.raises(TerramendError, match="is no run of") as caught:
        asked(tmp_path, "de" if words else "ddpm", "--weights", str(run), *words)
    assert caught.value.code == "training.start" and not (tmp_path / "s.png").exists()


def test_neither_a_folder_nor_the_image_itself_is_written(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "s.png"), np.full((16, 16, 3), 90, np.uint8))
    before = (tmp_path / "s.png").read_bytes()
    words = ["de", "--weights", str(PACKAGED / "de-clear"), "--image", str(tmp_path / "s.png")]
    with pytest.raises(TerramendError, match="inputs are never changed"):
        asked(tmp_path, *words)
    assert (tmp_path / "s.png").read_bytes() == before
    (tmp_path / "s.png").unlink()
    (tmp_path / "s.png").mkdir()
    with pytest.raises(TerramendError, match="--out is not valid: it is a folder"):
        asked(tmp_path, *words)
