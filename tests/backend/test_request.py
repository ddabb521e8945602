"""Requests: one validator, one JSON text, one hash that ignores what changes no byte."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.errors import ERRORS, NOTICES, Notice, TerramendError
from terramend.backend.request import (
    CLASSES,
    MASK_KINDS,
    NOT_HASHED,
    FillRequest,
    Mask,
    Reference,
    canonical_json,
    from_json,
    request_hash,
    to_json,
    validate,
)

PLAIN = FillRequest(target=("a.tif",), output="b.tif")
signs = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.text(signs, min_size=1, max_size=12).filter(lambda name: name.replace(";", "").strip())
kinds = st.sampled_from([k for k in MASK_KINDS if k != "value"] + ["value=3", "value=3,8"])
masks = st.builds(Mask, path=names, kind=kinds)
dates = st.none() | st.dates().map(lambda d: d.isoformat())
requests = st.builds(
    FillRequest,
    target=st.lists(names, min_size=1, max_size=3).map(tuple),
    output=names,
    gaps=st.lists(masks, max_size=3).map(tuple),
    grow=st.none() | st.integers(0, 99).map("{}px".format) | st.integers(0, 99).map("{}m".format),
    classes=st.lists(st.sampled_from(CLASSES), unique=True).map(tuple),
    cloud_threshold=st.none() | st.just(0.0) | st.floats(1, 100),
    references=st.lists(st.builds(Reference, path=names, masks=st.tuples(masks), date=dates)).map(tuple),
    sun=st.none() | st.tuples(st.floats(0, 360), st.floats(0.1, 90)),
    bands=st.lists(st.integers(1, 20), unique=True).map(tuple),
    quality=st.sampled_from(["fast", "default", "best"]),
    settings=st.lists(st.tuples(names, names)).map(tuple),
    seed=st.integers(0, 2**63 - 1),
    memory_limit=st.none() | st.floats(0.1, 100),
    jobs=st.integers(0, 64),
)


@given(requests)
def test_json_round_trip(request_: FillRequest) -> None:
    assert from_json(json.loads(json.dumps(to_json(request_)))) == request_


@given(requests, st.integers(0, 8), st.floats(0.1, 64), names)
def test_hash_ignores_how_the_run_is_carried_out(request_, jobs, memory, path) -> None:
    other = dataclasses.replace(
        request_,
        output=path,
        std=path,
        provenance=path,
        jobs=jobs,
        memory_limit=memory,
        tmp=path,
        overwrite=True,
    )
    assert request_hash(other) == request_hash(request_)


def test_hash_knows_everything_else() -> None:
    changes = {
        "target": ("c.tif",), "mode": "clear", "gaps": (Mask("m.tif"),), "grow": "2px", "classes": ("cloud",),
        "own_mask": True, "missed": True, "cloud_threshold": 50.0, "fill_swath_edges": True, "references": (Reference("r.tif"),),
        "references_from": "r", "references_clear": True, "dem": "d.tif", "sar": "s.tif", "sun": (1.0, 2.0), "date": "2020-01-01",
        "radiometry": "dn", "bands": (1,), "extent": "0,0,1,1", "target_crs": "EPSG:4326",
        "target_nodata": 0.0, "unfilled": "nodata", "model": "mean", "quality": "fast",
        "settings": (("k", "v"),), "seed": 1,
        "device": "cpu", "hash_inputs": True, "creation_options": ("A=B",), "schema_version": 2,
    }  # fmt: skip
    assert set(changes) == {f.name for f in dataclasses.fields(FillRequest)} - set(NOT_HASHED)
    hashes = {request_hash(dataclasses.replace(PLAIN, **{name: value})) for name, value in changes.items()}
    assert len(hashes | {request_hash(PLAIN)}) == len(changes) + 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": []}, "target"),
        ({"target": "a.tif"}, "target"),
        ({"output": ""}, "output"),
        ({"mode": "paint"}, "mode"),
        ({"gaps": [{"path": "m", "kind": "clouds"}]}, "gaps.kind"),
        ({"gaps": [{"path": "", "kind": "scl"}]}, "gaps"),
        ({"gaps": [{"path": "m", "kind": "value"}]}, "gaps.kind"),
        ({"gaps": [{"pfad": "m"}]}, "gaps.pfad"),
        ({"grow": "3 feet"}, "grow"),
        ({"classes": ["haze"]}, "classes"),
        ({"cloud_threshold": 101}, "cloud_threshold"),
        ({"cloud_threshold": -0.1}, "cloud_threshold"),
        ({"date": "June"}, "date"),
        ({"references": [{"path": "r", "date": "2020-02-31"}]}, "references"),
        ({"references": [{"path": " ; "}]}, "references"),
        ({"sun": [400, 10]}, "sun"),
        ({"sun": [10]}, "sun"),
        ({"sun": [-0.1, 10]}, "sun"),
        ({"sun": [10, 0]}, "sun"),
        ({"sun": [10, 90.1]}, "sun"),
        ({"bands": [0]}, "bands"),
        ({"bands": [2, 1, 2]}, "bands"),
        ({"bands": [True]}, "bands"),
        ({"memory_limit": 0}, "memory_limit"),
        ({"memory_limit": float("inf")}, "memory_limit"),
        ({"memory_limit": 10**400}, "memory_limit"),
        ({"sun": [10**400, 10]}, "sun"),
        ({"grow": "9" * 400 + "px"}, "grow"),
        ({"target": ["a\0.tif"]}, "target"),
        ({"output": "caf\udce9.tif"}, "output"),
        ({"tmp": "\ud800"}, "tmp"),
        ({"references": [{"path": " ; "}]}, "references"),
        ({"jobs": -1}, "jobs"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"creation_options": ["COMPRESS"]}, "creation_options"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_wrong_fields_are_named(change, field) -> None:
    with pytest.raises(TerramendError) as caught:
        from_json({**to_json(PLAIN), **change})
    assert caught.value.code == "request.field"
    assert caught.value.arguments["field"] == field
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": "a.tif"}, "target"),
        ({"target": (Path("a.tif"),)}, "target"),
        ({"gaps": ("m.tif",)}, "gaps"),
        ({"gaps": None}, "gaps"),
        ({"references": (Reference("r.tif", masks=("m.tif",)),)}, "references.masks"),
        ({"grow": 3}, "grow"),
        ({"sun": (10,)}, "sun"),
        ({"std": True}, "std"),
        ({"settings": {"mend": "x"}}, "settings"),
        ({"memory_limit": float("inf")}, "memory_limit"),
        ({"target_nodata": float("nan")}, "target_nodata"),
    ],
)
def test_wrong_types_that_python_lets_by_are_named(change, field) -> None:
    with pytest.raises(TerramendError) as caught:
        validate(dataclasses.replace(PLAIN, **change))
    assert (caught.value.code, caught.value.arguments["field"]) == ("request.field", field)


@pytest.mark.parametrize(
    "change",
    [
        {"sun": [0, 90]}, {"sun": [360, 0.1]}, {"cloud_threshold": 0}, {"cloud_threshold": 100},
        {"seed": 2**63 - 1}, {"bands": [1]}, {"memory_limit": 0.1}, {"grow": "0"}, {"jobs": 0},
    ],
)  # fmt: skip
def test_ranges_hold_their_ends(change) -> None:
    ((name, value),) = change.items()
    assert to_json(from_json({**to_json(PLAIN), **change}))[name] == value


@pytest.mark.parametrize("nodata", [float("nan"), float("inf")])
def test_a_nodata_value_that_has_no_json_is_refused(nodata) -> None:
    with pytest.raises(TerramendError, match="target_nodata.*finite"):
        validate(dataclasses.replace(PLAIN, target_nodata=nodata))


def test_missing_target_and_other_versions_are_refused() -> None:
    with pytest.raises(TerramendError, match="output"):
        from_json({"target": ["a"]})
    with pytest.raises(TerramendError, match="schema version 99"):
        from_json({**to_json(PLAIN), "schema_version": 99})
    with pytest.raises(TerramendError, match="JSON object"):
        from_json([1])


def test_canonical_json_is_one_text() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_every_sentence_ends_well_and_errors_cross_processes() -> None:
    for _status, sentence in ERRORS.values():
        assert sentence.endswith((".", "?", "}")), sentence
    for code, sentence in NOTICES.items():
        assert sentence.endswith((".", "}")) != code.startswith(("unit.", "way.")), sentence
    assert {status for status, _ in ERRORS.values()} <= {1, 2, 3, 4, 5}
    error = TerramendError("request.field", field="x", why="y")
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.arguments, str(again)) == (error.code, error.arguments, str(error))
    assert Notice("fill.nothing").to_json()["message"] == NOTICES["fill.nothing"]
