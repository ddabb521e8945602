"""Output files that exist whole or not at all.

Everything is written beside its destination under a temporary name that carries this
host and process, flushed, and renamed at the end, the main file last. What a killed
process left behind is swept by the next run in the same folder.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..errors import TerramendError
from .gdal import sources_of

SIDECARS = (".aux.xml", ".ovr", ".msk")
"""What GDAL and QGIS keep beside a raster; out of date once the raster is replaced."""
_PIXELS = (".ovr", ".msk")  # of them those that hold more than what can be computed anew: never lost unasked

_MARK = "terramend"
_OF_THE_HOST = 0xEFFFFFFC  # what Linux calls the numbers of processes outside of all containers


def _host() -> str:
    """The name of this host; in a container that shares it (as Flatpak) also whose process numbers these are.

    Those of another container look dead from here, and would lose what they are writing.
    """
    name = re.sub(r"[^A-Za-z0-9]", "", platform.node()) or "host"
    with contextlib.suppress(OSError):
        numbers = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
        return name if numbers == _OF_THE_HOST else f"{name}{numbers:x}"
    return name


_HOST = _host()
_LEFT_OVER = re.compile(rf"\..*\.{_MARK}-(?P<host>[A-Za-z0-9]+)-(?P<pid>\d+)-\d+\.tmp(\..*)?")
_numbers = itertools.count()

LONGEST = 255 - len(f"..{_MARK}-{_HOST}-4194304-9999.tmp.tif.flat.tif")
"""Bytes of an output's name, that its temporary ones stay within what file systems hold."""

_OTHERS = frozenset(
    {".png", ".jpg", ".jpeg", ".jp2", ".gif", ".bmp", ".img", ".vrt", ".nc", ".h5", ".hdf", ".he5", ".zarr"}
    | {".gpkg", ".asc", ".bil", ".bsq", ".dat", ".shp", ".geojson", ".json", ".csv", ".pdf", ".zip", ".tar"}
)
"""Endings that promise another format than GeoTIFF."""


def temporary_name(name: str) -> str:
    """A hidden name that tells whose it is: `.NAME.terramend-HOST-PID-NUMBER.tmp`."""
    return f".{name}.{_MARK}-{_HOST}-{os.getpid()}-{next(_numbers)}.tmp"


def is_full(folder: Path) -> bool:
    """Whether a write there failed because the disk has no room left (less than 1 MiB)."""
    try:
        return shutil.disk_usage(folder).free < 1 << 20
    except OSError:
        return False


def destination(path: Path) -> Path:
    """Of a temporary name the file that it will become; any other path as it is."""
    found = re.match(rf"\.(.+)\.{_MARK}-[A-Za-z0-9]+-\d+-\d+\.tmp", path.name)
    return path.with_name(found.group(1)) if found else path


def sweep(folder: Path) -> None:
    """Remove temporary files and folders of dead processes of this host."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        match = _LEFT_OVER.fullmatch(entry.name)
        if match and match["host"] == _HOST and not _alive(int(match["pid"])):
            _remove(entry)


@contextlib.contextmanager
def working_folder(place: str | Path | None) -> Iterator[Path]:
    """A temporary folder inside `place` (None: the system's), removed at the end; left-overs there are swept.

    Raises:
        TerramendError: `tmp.folder` when it cannot be made, `tmp.full` when its disk is full.
    """
    parent = Path(place or tempfile.gettempdir())
    sweep(parent)
    folder = parent / temporary_name("work")
    try:
        folder.mkdir()
    except OSError as error:
        raise TerramendError("tmp.folder", path=str(parent), why=_why(error)) from None
    try:
        yield folder
    except OSError as error:  # GDAL says only later, while reading, that it could not write
        if is_full(folder):
            raise TerramendError("tmp.full", path=str(parent)) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Where to write a file that gets its name when it is whole; left-overs in its folder are swept.

    Raises:
        TerramendError: `output.locked`.
    """
    sweep(path.parent)
    part = path.with_name(temporary_name(path.name))
    try:
        yield part
        try:
            part.replace(path)
        except OSError as error:
            raise TerramendError("output.locked", path=str(path), why=_why(error)) from None
    except OSError as error:
        if str(error.filename) == str(part):
            error.filename = str(path)  # which who reads of it knows
        raise
    finally:
        _remove(part)


def write_whole(path: Path, text: str) -> None:
    """Write a text that is whole or absent.

    Raises:
        TerramendError: `output.locked`.
    """
    with written(path) as part:
        part.write_text(text, "utf-8")


class Outputs:
    """The files of one run: checked first, written under temporary names, renamed together.

    Args:
        paths: destinations, the main file first.
        inputs: every file that the run reads.
        overwrite: whether existing destinations may be replaced.
        pictures, reports: destinations of PNG and of HTML files.

    Raises:
        TerramendError: `output.*`, before anything is written.
    """

    def __init__(
        self,
        paths: Iterable[str],
        inputs: Iterable[str],
        overwrite: bool,
        pictures: Sequence[str] = (),
        reports: Sequence[str] = (),
    ) -> None:
        for picture in pictures:
            if not picture.lower().endswith(".png"):
                raise TerramendError("output.picture", path=picture)
        for report in reports:
            if not report.lower().endswith((".html", ".htm")):
                raise TerramendError("output.report", path=report)
        names = [*paths, *pictures, *reports]
        self.paths = [Path(os.path.abspath(path)) for path in names]  # noqa: PTH100 - keeps symlinks
        rasters = len(names) - len(pictures) - len(reports)
        self._overwrite = overwrite
        files = [part for path in inputs for part in local_files(path)]
        for number, path in enumerate(self.paths):
            if number < rasters and path.suffix.lower() in _OTHERS:
                raise TerramendError("output.ending", path=str(path), ending=path.suffix)
            _check(path, files, overwrite)
            if any(_same(path, other) for other in self.paths[:number]):
                raise TerramendError("output.twice", path=str(path))
        self._temporary = {path: path.parent / f"{temporary_name(path.name)}.tif" for path in self.paths}
        for folder in {path.parent for path in self.paths}:
            sweep(folder)

    def temporary(self, path: str | Path) -> Path:
        """Where the content of a destination is written."""
        return self._temporary[Path(os.path.abspath(path))]  # noqa: PTH100

    def need(self, bytes_needed: int) -> None:
        """Check the free space of the main file's folder.

        Raises:
            TerramendError: `output.space`.
        """
        folder = self.paths[0].parent
        free = shutil.disk_usage(folder).free
        if free < bytes_needed:
            raise TerramendError("output.space", path=str(folder), need=_size(bytes_needed), free=_size(free))

    def commit(self) -> None:
        """Flush everything to disk, then rename: siblings first, the main file last.

        Raises:
            TerramendError: `output.locked`; new files of this run are gone again then. `output.exists`
                where another program wrote one meanwhile, which stays.
        """
        if not self._overwrite:
            for path in self.paths:
                _spare(path)
        for temporary in self._temporary.values():
            _flush(temporary)
        fresh: list[Path] = []
        for path in reversed(self.paths):
            new = not path.exists()
            try:
                for suffix in SIDECARS:
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{path}{suffix}").unlink()
                self._temporary[path].replace(path)
            except OSError as error:
                for done in fresh:
                    _remove(done)
                raise TerramendError("output.locked", path=str(path), why=_why(error)) from None
            if new:
                fresh.append(path)
        for folder in {path.parent for path in self.paths}:
            with contextlib.suppress(OSError):  # all is in place, and not every disk can flush a folder
                _flush(folder)

    def discard(self) -> None:
        """Remove what is left under temporary names; harmless after `commit`.

        What GDAL puts beside a raster goes too: `.tmp.tif.aux.xml`, or `.tmp.IMD` of a target with such tags.
        """
        for temporary in self._temporary.values():
            for entry in temporary.parent.glob(f"{glob.escape(temporary.stem)}*"):
                _remove(entry)


def local_files(name: str) -> list[Path]:
    """Existing local files that a GDAL name reads: `/vsizip/a.zip/b.tif` reads `a.zip`.

    Those behind a VRT too, and parts of names such as `GPKG:/a.gpkg:table`, `NETCDF:"a.nc":v`, `vrt:///a.tif?bands=1`,
    `a.gpkg|layername=clouds` or, for one reference, `b4.tif;b3.tif`.
    """
    found = _named_files(name)
    with contextlib.suppress(TerramendError):  # a VRT that cannot be read is said where it is opened
        found += [file for source in sources_of(name) for file in _named_files(source)]
    return found


def _named_files(name: str) -> list[Path]:
    drives = re.findall(r'(?<![A-Za-z])[A-Za-z]:[\\/][^:"?|;]*', name)
    candidates = [name, *re.split(r'[:"?|;]', name), *drives]
    if name.startswith("/vsi"):  # `/vsisubfile/0_9,a.tif`, `/vsicached?file=a.tif`, `/vsizip/{a.zip}/b.tif`
        candidates += re.split(r"[?&=,{}]", name)
    found = []
    for candidate in candidates:
        bare = re.sub(r"^(/vsi(zip|tar|gzip|7z|rar|subfile)/)+", "", candidate)
        path = Path(bare)
        if not bare or bare.startswith("/vsi"):
            continue
        for part in (path, *path.parents):
            if os.path.isfile(part):  # noqa: PTH113 - no error for what a file system cannot hold
                found.append(part)
                break
    return found


def _check(path: Path, inputs: list[Path], overwrite: bool) -> None:
    if len(os.fsencode(path.name)) > LONGEST:
        raise TerramendError("output.long", path=str(path), most=LONGEST)
    if path.is_dir():
        raise TerramendError("output.folder", path=str(path))
    if path.exists() and not path.is_file():  # a device, a pipe
        raise TerramendError("output.special", path=str(path))
    if not path.parent.is_dir():
        raise TerramendError("output.no-folder", path=str(path), folder=str(path.parent))
    if not os.access(path.parent, os.W_OK):
        raise TerramendError("output.read-only", path=str(path.parent))
    if any(_same(path, source) for source in inputs):
        raise TerramendError("output.is-input", path=str(path))
    for replaced in (path, *(Path(f"{path}{suffix}") for suffix in SIDECARS)):
        if _is_kept_by_owner(replaced):
            raise TerramendError("output.owner", path=str(replaced))
    for suffix in SIDECARS:  # they go when the file is replaced
        sidecar = Path(f"{path}{suffix}")
        if sidecar.exists() and any(_same(sidecar, source) for source in inputs):
            raise TerramendError("output.sidecar", path=str(path), sidecar=str(sidecar))
    if not overwrite:
        _spare(path)
    elif path.exists():
        try:  # Windows replaces no file that a program such as QGIS holds open: better said before the work
            path.rename(path)  # to its own name, which changes nothing
        except OSError as error:
            raise TerramendError("output.locked", path=str(path), why=_why(error)) from None


def _is_kept_by_owner(path: Path) -> bool:
    """Whether a file is another user's, in a folder where only owners replace their own, as in /tmp."""
    if sys.platform == "win32" or not os.path.lexists(path):
        return False
    folder, user = path.parent.stat(), os.geteuid()
    return bool(folder.st_mode & stat.S_ISVTX) and user not in (0, folder.st_uid, path.lstat().st_uid)


def _spare(path: Path) -> None:
    """Refuse to replace a file, or what somebody keeps beside it under a raster's name."""
    for kept in (path, *(Path(f"{path}{suffix}") for suffix in _PIXELS)):
        if kept.exists():
            raise TerramendError("output.exists", path=str(kept))


def _same(one: Path, other: Path) -> bool:
    """Whether two paths name one file, also through links."""
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist (yet)
        return os.path.realpath(one) == os.path.realpath(other)


def _flush(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return  # Windows flushes folders itself
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _alive(pid: int) -> bool:
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(0x100000, False, pid)  # SYNCHRONIZE
        if not handle:
            return ctypes.get_last_error() == 5  # ERROR_ACCESS_DENIED: it is another user's
        ended = kernel.WaitForSingleObject(handle, 0) == 0  # somebody may still hold one that ended
        kernel.CloseHandle(handle)
        return not ended
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the latter of a number that no process can have
        return False
    except PermissionError:
        return True
    return True


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _size(count: int) -> str:
    return f"{count / 1e9:.2g} GB" if count >= 1e8 else f"{count / 1e6:.2g} MB"
