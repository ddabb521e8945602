"""The files of a product, whether it is a folder, a zip or a tar."""

from __future__ import annotations

import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # nosec B405 - see parse_xml

from ..errors import TerramendError
from ..failure import reason

LARGEST = 64 << 20
"""Bytes of a metadata file that are read at most."""
MOST = 50_000
"""Files that a folder of one product has at most."""


_DAMAGED = (
    OSError, EOFError, KeyError, UnicodeError, RuntimeError, zipfile.BadZipFile, tarfile.TarError,
    zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What reading an archive raises where it is damaged (`RuntimeError`: encrypted, or packed in a new way)."""


@dataclass(frozen=True)
class ProductFiles:
    """Names of a product's files, and how to get at them.

    Attributes:
        path: what the user named. names: with `/`, relative to the product's outside.
        prefix: what GDAL needs before a name.
    """

    path: str
    names: tuple[str, ...]
    prefix: str
    _read: Callable[[str], bytes]

    def gdal(self, name: str) -> str:
        """What GDAL calls the file."""
        return f"{self.prefix}/{name}"

    def text(self, name: str) -> str:
        """A metadata file's text."""
        try:
            return self._read(name).decode("utf-8", "replace")
        except _DAMAGED as error:
            raise TerramendError("product.file", path=self.path, file=name, why=reason(error)) from error

    def xml(self, name: str) -> ElementTree.Element:
        """A metadata file's root element, tags without their namespaces."""
        try:
            return parse_xml(self.text(name))
        except ValueError as error:
            raise TerramendError("product.file", path=self.path, file=name, why=str(error)) from error

    def matching(self, *endings: str) -> tuple[str, ...]:
        """Names with one of these endings, whatever their case, the least nested first."""
        found = [n for n in self.names if n.lower().endswith(tuple(e.lower() for e in endings))]
        return tuple(sorted(found, key=lambda n: (n.count("/"), n)))


def open_product_files(path: str) -> ProductFiles | None:
    """The files of a local folder, zip or tar, or None where the path is none of these.

    Raises:
        TerramendError: `product.archive` where an archive is damaged, `product.large` for a folder of
            too many files.
    """
    place = Path(path)
    if place.is_dir():
        return ProductFiles(path, _listed(place), str(place), lambda name: _read_file(place / name))
    name = place.name.lower()
    if not place.is_file():
        return None
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(place) as archive:
                names = tuple(n for n in archive.namelist() if not n.endswith("/"))
            return ProductFiles(
                path, names, f"/vsizip/{place.resolve()}", lambda name: _from_zip(place, name)
            )
        if name.endswith((".tar", ".tar.gz", ".tgz")):
            with tarfile.open(place) as tar:
                inside = {m.name.removeprefix("./"): m.name for m in tar.getmembers() if m.isfile()}
            prefix = f"/vsitar/{place.resolve()}"  # GDAL too leaves "./" out
            return ProductFiles(path, tuple(inside), prefix, lambda name: _from_tar(place, inside[name]))
    except _DAMAGED as error:
        raise TerramendError("product.archive", path=path, why=reason(error)) from error
    return None


def _listed(place: Path) -> tuple[str, ...]:
    """Files up to the depth that products have (SAFE: five folders)."""
    found: list[str] = []
    waiting: list[tuple[Path, int]] = [(place, 0)]
    while waiting:
        folder, depth = waiting.pop()
        for entry in sorted(folder.iterdir()):
            if entry.is_dir():
                if depth < 6 and not entry.is_symlink():
                    waiting.append((entry, depth + 1))
            else:
                found.append(entry.relative_to(place).as_posix())
        if len(found) > MOST:
            raise TerramendError("product.large", path=str(place), count=MOST)
    return tuple(sorted(found))


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST)


def _from_zip(place: Path, name: str) -> bytes:
    with zipfile.ZipFile(place) as archive, archive.open(name) as file:
        return file.read(LARGEST)


def _from_tar(place: Path, name: str) -> bytes:
    with tarfile.open(place) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file.read(LARGEST)


def in_archive(path: str) -> tuple[Path, str] | None:
    """The archive and the file in it that GDAL calls `/vsizip/ARCHIVE/NAME` or `/vsitar/...`; else None."""
    found = re.match(r"/vsi(?:zip|tar)/(.+?\.(?:zip|tar|tar\.gz|tgz))/(.+)", path, re.IGNORECASE)
    return (Path(found[1]), found[2]) if found else None


def read_text(path: str) -> str:
    """A small text file, also in an archive.

    Raises:
        OSError, KeyError, ValueError: it is missing, or the archive is damaged.
    """
    place = in_archive(path)
    if place is None:
        return Path(path).read_text("utf-8")
    files = open_product_files(str(place[0]))
    if files is None or place[1] not in files.names:
        raise FileNotFoundError(f"there is no {place[1]} in {place[0]}")
    return files.text(place[1])


def parse_xml(text: str) -> ElementTree.Element:
    """The root of a document, tags without their namespaces.

    Raises:
        ValueError: it is not well formed, or declares a document type (which could expand without end).
    """
    if "<!DOCTYPE" in text:
        raise ValueError("it declares a document type")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 # nosec B314 - see above
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    for element in root.iter():
        element.tag = str(element.tag).rsplit("}", 1)[-1]
    return root


def number(element: Any) -> float | None:
    """The number that an XML element holds, or None."""
    try:
        return float(element.text)
    except (AttributeError, TypeError, ValueError):
        return None
