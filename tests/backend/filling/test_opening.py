"""What a request opens."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from terramend.backend.errors import Notice, TerramendError
from terramend.backend.fill import fill
from terramend.backend.filling.opening import open_inputs
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch


def test_a_mask_beside_the_target_that_needs_a_word_is_pointed_out(tmp_path):
    target, mask = str(tmp_path / "a.tif"), str(tmp_path / "a_cloudmask.tif")
    profile = {
        "driver": "GTiff", "count": 1, "height": 9, "width": 9, "dtype": "uint16",
        "crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 3e5, 0, -10, 5e6),
    }  # fmt: skip
    for path in (target, mask):
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.ones((1, 9, 9), np.uint16))
    for gaps, said in (((), ["mask.beside"]), ((Mask(mask),), [])):
        watch = Watch()
        inputs = open_inputs(FillRequest((target,), "o.tif", gaps=gaps, radiometry="dn"), watch)
        assert [notice.code for notice in watch.notices] == said
        assert inputs.targets[0].masks == ()


def test_a_quality_band_that_polygons_alone_set_aside_is_pointed_out(tmp_path):
    target, own, drawn = (str(tmp_path / name) for name in ("a.tif", "a_SCL.tif", "drawn.geojson"))
    profile = {
        "driver": "GTiff", "count": 1, "height": 9, "width": 9, "dtype": "uint16",
        "crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 3e5, 0, -10, 5e6),
    }  # fmt: skip
    for path in (target, own):
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.full((1, 9, 9), 4, np.uint16))
    (tmp_path / "drawn.geojson").write_text("{}")
    for masks, said in (((), []), ((drawn,), ["mask.own"]), ((drawn, own), []), ((own,), [])):
        gaps = tuple(map(Mask, masks))
        request = FillRequest((target,), "o.tif", gaps=gaps, radiometry="dn")
        for asked, told in ((request, said), (replace(request, own_mask=True), [])):
            watch = Watch()
            open_inputs(asked, watch)
            assert [notice.code for notice in watch.notices] == told


def test_an_own_mask_that_is_asked_for_and_is_none_is_told_of(tmp_path):
    target, drawn = str(tmp_path / "a.tif"), tmp_path / "drawn.geojson"
    with rasterio.open(target, "w", driver="GTiff", count=1, height=9, width=9, dtype="uint16") as file:
        file.write(np.full((1, 9, 9), 4, np.uint16))
    drawn.write_text("{}")
    watch = Watch()
    request = FillRequest((target,), "o.tif", gaps=(Mask(str(drawn)),), own_mask=True, radiometry="dn")
    open_inputs(request, watch)
    assert Notice("mask.no-own", {"name": "a.tif"}) in watch.notices


def test_a_cancel_does_not_wait_for_a_silent_server(tmp_path):
    asked, over, watch = threading.Event(), threading.Event(), Watch()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.set()
            over.wait()

        def do_GET(self):
            self.do_HEAD()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=lambda: (asked.wait(), watch.cancel()), daemon=True).start()
    request = FillRequest((f"http://127.0.0.1:{server.server_port}/a.tif",), str(tmp_path / "o.tif"))
    try:
        with pytest.raises(TerramendError) as caught:
            open_inputs(request, watch)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
    assert caught.value.code == "run.cancelled"


def test_a_server_that_falls_silent_is_left(tmp_path):
    """What GDAL waits for holds a cancel: some seconds of silence end it, also where a request may take an hour."""
    ended = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(206)
            self.send_header("Content-Range", "bytes 0-16383/1000000")
            self.send_header("Content-Length", "16384")
            self.end_headers()
            self.wfile.write(b"II*\0")
            ended.wait()

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    words = ["fill", f"http://127.0.0.1:{server.server_port}/a.tif", "-o", str(tmp_path / "o.tif")]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "terramend.backend", *words],
            capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
            env={**os.environ, "GDAL_HTTP_TIMEOUT": "3600", "GDAL_HTTP_MAX_RETRY": "0"},
        )  # fmt: skip
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
    assert done.returncode == 2 and "a.tif" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("high", [0.5, 40, 4000])
def test_a_date_without_a_value_is_filled_in_the_scale_of_the_others(tmp_path, high):
    ground = (high * (0.5 + 0.5 * np.random.default_rng(0).random((1, 40, 40)))).astype(np.float32)
    blank = np.full_like(ground, np.nan)
    paths = [str(tmp_path / f"{name}.tif") for name in ("target", "blank", "before", "after")]
    profile = {
        "driver": "GTiff", "count": 1, "height": 40, "width": 40, "dtype": "float32", "nodata": np.nan,
        "crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 3e5, 0, -10, 5e6),
    }  # fmt: skip
    for path, values in zip(paths, (blank, blank, ground, ground), strict=True):
        with rasterio.open(path, "w", **profile) as file:
            file.write(values)
    target, *others = paths
    days = ("2023-12-31", "2024-01-01", "2024-01-21")
    dates = tuple(Reference(path, (Mask("", "none"),), day) for path, day in zip(others, days, strict=True))
    mask = (Mask(target, "value=nan"),)
    output, watch = str(tmp_path / "out.tif"), Watch()
    fill(FillRequest((target,), output, gaps=mask, references=dates, date="2024-01-11"), watch)
    with rasterio.open(output) as file:
        np.testing.assert_allclose(file.read(), ground, rtol=0.02)
    assert ("radiometry.guess" in [notice.code for notice in watch.notices]) == (high > 3)
