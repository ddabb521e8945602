"""Archives that are damaged, or packed in a way that is not read, are said to be so."""

import zipfile

import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.raster.product_files import open_product_files

TEXT = "<metadata>" + "".join(f"<b{number}/>" for number in range(500)) + "</metadata>"
FLAGS, METHOD = 6, 8
"""Places in a file's header, after its four letters; in the central directory they lie two bytes later."""


def packed(tmp_path, method=zipfile.ZIP_DEFLATED):
    path = tmp_path / "product.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("MTD.xml", TEXT)
    return path


def put(path, letters, offset, value):
    content = bytearray(path.read_bytes())
    content[content.index(letters) + offset] = value
    path.write_bytes(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_file_that_does_not_unpack(tmp_path, method):
    path = packed(tmp_path, method)
    content = bytearray(path.read_bytes())
    middle = content.index(b"PK\1\2") // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(TerramendError, match=r"MTD\.xml in .*product\.zip cannot be read"):
        open_product_files(str(path)).xml("MTD.xml")


def test_a_file_that_is_encrypted(tmp_path):
    path = packed(tmp_path)
    put(path, b"PK\3\4", FLAGS, 1)
    put(path, b"PK\1\2", FLAGS + 2, 1)
    with pytest.raises(TerramendError, match="encrypted"):
        open_product_files(str(path)).text("MTD.xml")


def test_a_file_that_is_packed_in_a_new_way(tmp_path):
    path = packed(tmp_path)
    put(path, b"PK\3\4", METHOD, 98)
    put(path, b"PK\1\2", METHOD + 2, 98)
    with pytest.raises(TerramendError, match=r"MTD\.xml in .* cannot be read"):
        open_product_files(str(path)).text("MTD.xml")


def test_a_name_that_is_not_in_the_letters_that_it_says(tmp_path):
    path = packed(tmp_path)
    put(path, b"PK\1\2", FLAGS + 3, 8)  # UTF-8
    put(path, b"PK\1\2", 46, 0xE9)  # the name's first letter
    with pytest.raises(TerramendError, match=r"product\.zip cannot be opened as an archive"):
        open_product_files(str(path))
