"""The tags of a run: what they tell, what they leave out, and that they are one text for one run."""

import hashlib
import json
import os

from terramend.backend.raster.provenance import NOTE, Origin, describe_inputs, marked
from terramend.backend.request import FillRequest, from_json, request_hash
from terramend.backend.version import VERSION

REQUEST = FillRequest(("t.tif",), "o.tif", seed=5, quality="best", jobs=3, references_clear=True)
ALWAYS = {
    "TERRAMEND_VERSION": VERSION,
    "TERRAMEND_REQUEST_HASH": request_hash(REQUEST),
    "TERRAMEND_MODEL": "guided",
    "TERRAMEND_MODEL_REASON": "there are references",
    "TERRAMEND_STATE_SHA256": "ab",
    "TERRAMEND_QUALITY": "best",
    "TERRAMEND_SEED": "5",
    "TERRAMEND_DEVICE": "cpu",
    "TERRAMEND_GAP_FRACTION": "0.123457",
    "TERRAMEND_DATES": '[{"date": "2024-06-30", "name": "a.tif"}]',
    "TERRAMEND_INPUTS": '[{"name": "t.tif", "size": 3}]',
    "TERRAMEND_NOTE": NOTE,
}


def origin(**more):
    facts = {
        "model": "guided", "model_reason": "there are references", "tried": (), "device": "cpu",
        "provider": None, "weights_sha256": None, "state": "ab", "gap_fraction": 0.12345678,
        "dates": ({"name": "a.tif", "date": "2024-06-30"},), "credits": (),
        "inputs": ({"size": 3, "name": "t.tif"},),
    }  # fmt: skip
    return Origin(REQUEST, **facts | more)


def test_tags_tell_what_there_is_to_tell():
    tags = origin().tags()
    asked = json.loads(tags.pop("TERRAMEND_REQUEST"))
    assert tags == ALWAYS
    assert from_json(asked | {"output": "o.tif", "jobs": 3}) == REQUEST  # the settings of the run
    tried = ({"with": "all", "rmse": 0.5},)
    more = origin(tried=tried, provider="CUDA", weights_sha256="cd", credits=("one", "two")).tags()
    del more["TERRAMEND_REQUEST"]
    assert more == ALWAYS | {
        "TERRAMEND_TRIED": '[{"rmse": 0.5, "with": "all"}]', "TERRAMEND_PROVIDER": "CUDA",
        "TERRAMEND_WEIGHTS_SHA256": "cd", "TERRAMEND_CREDITS": "one; two",
    }  # fmt: skip


def test_inputs_are_told_once_and_what_served_nothing_is_marked(tmp_path):
    one, two = tmp_path / "a.tif", tmp_path / "b.tif"
    one.write_bytes(b"abc")
    two.write_bytes(b"")
    os.utime(one, (1719741600.9, 1719741600.9))
    names = [f"{one}|layername=x", str(two), str(one), str(tmp_path / "absent.tif")]
    files = describe_inputs(names, whole_hash=False)
    assert list(files) == [one, two]
    assert files[one] == {"name": "a.tif", "size": 3, "mtime": "2024-06-30T10:00:00Z"}
    assert describe_inputs(names, whole_hash=True)[one]["sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert marked(files, [str(two)]) == (files[one], {**files[two], "left_out": True})
