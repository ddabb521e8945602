"""What a worker must see to do a row."""

from __future__ import annotations

import os

import pytest
from terramend.backend.distribution import places
from terramend.backend.errors import TerramendError
from terramend.backend.request import FillRequest, Mask


@pytest.fixture
def row(tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("t.tif", "m.tif"):
        (tmp_path / name).touch()
    mask = Mask(str(tmp_path / "m.tif"))
    return FillRequest((str(tmp_path / "t.tif"),), str(tmp_path / "out/o.tif"), gaps=(mask,))


def test_what_is_here_must_be_seen_there(row, tmp_path):
    with places.marks([row]) as marks:
        assert len(list((tmp_path / "out").iterdir())) == len(marks) == 1
        seen = places.seen(row, marks)
        places.check(seen, "tcp://there")
        (tmp_path / "m.tif").unlink()
        with pytest.raises(TerramendError, match="tcp://there does not see .*m.tif"):
            places.check(seen, "tcp://there")
        places.check(places.seen(row, marks), "tcp://there")  # absent here too: the row will say it
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_without_our_mark_is_another_one(row, tmp_path):
    with places.marks([row]) as marks:
        seen = places.seen(row, marks)
        (tmp_path / "out").rename(tmp_path / "other")
        (tmp_path / "out").mkdir()
        with pytest.raises(TerramendError) as caught:
            places.check(seen, "tcp://there")
        (tmp_path / "out").rmdir()
        (tmp_path / "other").rename(tmp_path / "out")
    assert (caught.value.code, caught.value.arguments["path"]) == ("batch.unseen", str(tmp_path / "out"))


def test_a_folder_that_only_reads_there(row, tmp_path, monkeypatch):
    with places.marks([row]) as marks:
        monkeypatch.setattr(os, "access", lambda name, mode: mode != os.W_OK)
        with pytest.raises(TerramendError) as caught:
            places.check(places.seen(row, marks), "tcp://there")
    assert (caught.value.code, caught.value.exit_status) == ("batch.read-only", 3)


def test_a_folder_that_is_not_here_gets_no_mark(row, tmp_path):
    (tmp_path / "out").rmdir()
    with places.marks([row]) as marks:
        assert marks == {} and places.seen(row, marks).marks == ()
