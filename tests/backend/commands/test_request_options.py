"""From words to a request: every field has an option, and qualifiers bind to what stands before them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from terramend.backend import cli
from terramend.backend.commands import request_options
from terramend.backend.errors import TerramendError
from terramend.backend.request import FillRequest, Mask, Reference, from_json


def request(*words: str) -> FillRequest:
    argv = cli.join_negatives(["t.tif", *words, "-o", "out/x.tif"])
    return from_json(request_options.fields(cli.parser_of("fill").parse_args(argv)))


def test_only_what_was_given_is_in_the_request():
    arguments = cli.parser_of("fill").parse_args(["t.tif", "-o", "x.tif"])
    assert request_options.fields(arguments) == {"target": ["t.tif"], "output": "x.tif"}


def test_qualifiers_belong_to_the_mask_or_reference_before_them():
    made = request(
        "--gaps", "qa.tif", "--gaps-kind", "qa_pixel", "--gaps", "areas.gpkg",
        "--gaps", "m.tif", "--gaps-kind", "value=3,7",
        "--reference", "a.tif", "--reference-date", "2024-05-01",
        "--reference", "b.tif", "--reference-gaps", "bm.tif", "--reference-gaps", "bn.tif",
        "--reference-gaps-kind", "scl",
        "--reference", "c.tif", "--reference-gaps-kind", "none",
        "--reference", "d.tif", "--reference-gaps-kind", "nodata",
    )  # fmt: skip
    assert made.gaps == (Mask("qa.tif", "qa_pixel"), Mask("areas.gpkg"), Mask("m.tif", "value=3,7"))
    assert made.references == (
        Reference("a.tif", (), "2024-05-01"),
        Reference("b.tif", (Mask("bm.tif"), Mask("bn.tif", "scl"))),
        Reference("c.tif", (Mask("", "none"),)),
        Reference("d.tif", (Mask("", "none"),)),  # its nodata counts anyhow
    )


EVERY = {
    "grow": ("--grow 3px", "3px"),
    "classes": ("--classes cloud,snow", ("cloud", "snow")),
    "cloud_threshold": ("--cloud-threshold 55.5", 55.5),
    "own_mask": ("--own-mask", True),
    "missed": ("--missed", True),
    "fill_swath_edges": ("--fill-swath-edges", True),
    "references_from": ("--references folder", "folder"),
    "references_clear": ("--references-clear", True),
    "dem": ("--dem d.tif", "d.tif"),
    "sar": ("--sar s.tif", "s.tif"),
    "sun": ("--sun 150.5,30", (150.5, 30.0)),
    "date": ("--date 2024-06-30", "2024-06-30"),
    "radiometry": ("--radiometry dn", "dn"),
    "bands": ("--bands 1,3-5", (1, 3, 4, 5)),
    "extent": ("--extent -1.5,2,3,4", "-1.5,2,3,4"),
    "target_crs": ("--target-crs EPSG:32633", "EPSG:32633"),
    "target_nodata": ("--target-nodata -9999", -9999.0),
    "unfilled": ("--unfilled nodata", "nodata"),
    "model": ("--model guided", "guided"),
    "quality": ("--quality best", "best"),
    "settings": ("--set a=1 --set b=x=y", (("a", "1"), ("b", "x=y"))),
    "seed": ("--seed 7", 7),
    "device": ("--device cpu", "cpu"),
    "std": ("--std s.tif", "s.tif"),
    "provenance": ("--provenance p.tif", "p.tif"),
    "weights_map": ("--save-weights-map w.png", "w.png"),
    "trajectory": ("--save-trajectory x.png", "x.png"),
    "hash_inputs": ("--hash-inputs", True),
    "creation_options": ("--co COG=YES --co ZLEVEL=9", ("COG=YES", "ZLEVEL=9")),
    "overwrite": ("--overwrite", True),
    "memory_limit": ("--memory-limit 1.5", 1.5),
    "jobs": ("--jobs 2", 2),
    "tmp": ("--tmp /t", str(Path("/t"))),
}


@pytest.mark.parametrize("field", EVERY)
def test_option(field):
    words, value = EVERY[field]
    assert getattr(request(*words.split()), field) == value


def test_every_field_is_reachable():
    elsewhere = {"target", "output", "gaps", "references", "mode", "schema_version"}
    assert {field.name for field in dataclasses.fields(FillRequest)} == set(EVERY) | elsewhere


def test_extra_outputs_are_named_after_the_main_one():
    made = request("--std", "--provenance")
    assert (made.std, made.provenance) == (str(Path("out/x_std.tif")), str(Path("out/x_provenance.tif")))


def test_a_target_of_several_files():
    arguments = cli.parser_of("fill").parse_args(["b1.tif", "b2.tif", "-o", "x.tif"])
    assert request_options.fields(arguments)["target"] == ["b1.tif", "b2.tif"]


@pytest.mark.parametrize(
    ("words", "option", "owner"),
    [
        ("--gaps-kind scl", "--gaps-kind", "--gaps"),
        ("--reference-gaps m.tif", "--reference-gaps", "--reference"),
        ("--reference-date 2024-01-01", "--reference-date", "--reference"),
        ("--reference a.tif --reference-gaps-kind scl", "--reference-gaps-kind", "--reference-gaps"),
    ],
)
def test_a_qualifier_without_what_it_qualifies(words, option, owner):
    with pytest.raises(TerramendError) as caught:
        request(*words.split())
    assert caught.value.code == "command.order"
    assert caught.value.arguments == {"option": option, "owner": owner}


@pytest.mark.parametrize("field", [*(field.name for field in dataclasses.fields(FillRequest)), "gaps.kind"])
def test_a_fault_in_a_field_is_said_of_an_option_that_exists(field):
    known = {name for action in cli.parser_of("fill")._actions for name in action.option_strings}
    option = request_options.option_of(field)
    if field not in ("mode", "schema_version"):
        assert all(name in known or name == "TARGET" for name in option.split(" or "))
