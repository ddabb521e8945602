"""Rows on Dask: the same bytes as serial, with real worker processes that may die."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import types
import zipfile
from pathlib import Path

import distributed
import numpy as np
import psutil
import pytest
import rasterio
from terramend.backend import batch
from terramend.backend.commands.batch_table import from_table
from terramend.backend.distribution import cluster as module
from terramend.backend.distribution import places
from terramend.backend.distribution.cluster import _client, identity, run_requests
from terramend.backend.errors import TerramendError
from terramend.backend.request import FillRequest, to_json
from terramend.backend.watch import Watch

PROFILE = {
    "driver": "GTiff", "crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 3e5, 0, -10, 5e6),
}  # fmt: skip
PRELOAD = "DASK_DISTRIBUTED__WORKER__PRELOAD"
"""Names code that a worker runs first."""
OWN = Path("/proc/self/cwd")
"""A path that every process sees in its own way, as where folders are not shared."""
LONG = 300
"""Seconds that only a failure takes, however busy the machine is."""
COMMON = {"model": "guided", "quality": "fast", "radiometry": "dn"}


def save(path: Path, samples: np.ndarray) -> None:
    count, height, width = samples.shape
    with rasterio.open(
        path, "w", count=count, height=height, width=width, dtype=samples.dtype, **PROFILE
    ) as file:
        file.write(samples)


@pytest.fixture
def work(tmp_path):
    """`work(rows, size)`: a folder with targets, a mask and a table."""

    def make(rows: int, size: int) -> Path:
        rng = np.random.default_rng(0)
        ramp = np.add.outer(np.arange(size), np.arange(size))
        mask = np.zeros((1, size, size), np.uint8)
        mask[:, size // 4 : size // 2, size // 4 : size // 2] = 1
        save(tmp_path / "m.tif", mask)
        for row in range(rows):
            noise = rng.integers(0, 200, (3, size, size))
            save(tmp_path / f"t{row}.tif", (ramp + noise + 100).astype("uint16"))
        lines = [f"t{row}.tif,m.tif,{{}}/o{row}.tif" for row in range(rows)]
        text = "\n".join(["target,gaps,output", *lines])
        for name in ("serial", "dask", "tmp"):
            (tmp_path / name).mkdir()
        for name in ("serial", "dask"):
            (tmp_path / f"{name}.csv").write_text(text.replace("{}", name))
        return tmp_path

    return make


def run(folder: Path, name: str, scheduler: str | None, watch: Watch | None = None) -> dict:
    rows = from_table(folder / f"{name}.csv", {**COMMON, "tmp": str(folder / "tmp")})
    return batch.run(rows, folder / f"{name}_results.csv", scheduler, watch or Watch())


def begun(folder: Path) -> int:
    """Wait until a worker is in a row; its process, which the name of its temporary folder tells."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        for path in (folder / "tmp").iterdir():
            pid = int(path.name.split("-")[-2])
            if pid != os.getpid():
                return pid
        time.sleep(0.005)
    raise AssertionError("no worker began a row")


def ends(group: int) -> bool:
    """Whether a process group goes."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_the_same_bytes_as_serial(work):
    folder = work(3, 64)
    (folder / "dask.csv").write_text((folder / "dask.csv").read_text() + "\nt9.tif,m.tif,dask/o9.tif\n")
    assert run(folder, "serial", None)["done"] == 3
    stages: list = []
    summary = run(folder, "dask", "local:2", Watch(on_progress=lambda p: stages.append(p.stage)))
    assert list(dict.fromkeys(stages)) == ["look", "cluster", "rows"]
    assert (summary["done"], summary["failed"]) == (3, 1)
    assert summary["failures"][0]["code"] == "raster.missing"
    for row in range(3):
        assert (folder / f"dask/o{row}.tif").read_bytes() == (folder / f"serial/o{row}.tif").read_bytes()
    assert run(folder, "dask", "local:2")["skipped"] == 3


@pytest.mark.parametrize(("rows", "at_once"), [(1, (1, 1)), (6, (4, 2)), (12, (8, 4)), (500, (8, 4))])
def test_how_many_rows_a_machine_does_at_once(rows, at_once):
    workers = [("a", 4), ("b", 4), ("a", 4)]
    info = {"workers": {str(n): {"host": host, "nthreads": k} for n, (host, k) in enumerate(workers)}}
    client = types.SimpleNamespace(scheduler_info=lambda n_workers: info if n_workers == -1 else None)
    assert module._at_once(client, rows) == dict(zip("ab", at_once, strict=True))


def test_a_row_that_reads_what_another_writes_comes_after_it(work):
    folder = work(2, 300)
    for name in ("serial", "dask"):
        lines = [f"t0.tif,m.tif,{name}/o0.tif,,", f"t1.tif,m.tif,{name}/o1.tif,{name}/o0.tif,none"]
        text = "\n".join(["target,gaps,output,reference,reference-gaps-kind", *lines])
        (folder / f"{name}.csv").write_text(text)
        assert run(folder, name, "local:2" if name == "dask" else None)["done"] == 2
    with rasterio.open(folder / "serial/o1.tif") as one, rasterio.open(folder / "dask/o1.tif") as other:
        assert (one.read() == other.read()).all()


def test_a_killed_workers_row_is_done_again(work):
    folder = work(2, 500)
    killed: list[int] = []

    def kill() -> None:
        """Kill the first worker that has begun a row."""
        killed.append(begun(folder))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    summary = run(folder, "dask", "local:2")
    thread.join()
    assert len(killed) == 1
    assert (summary["done"], summary["failed"]) == (2, 0)
    assert sorted(path.name for path in (folder / "dask").iterdir()) == ["o0.tif", "o1.tif"]
    run(folder, "serial", None)
    assert list((folder / "tmp").iterdir()) == []  # what the dead one left was swept by who came after it
    for row in range(2):
        assert (folder / f"dask/o{row}.tif").read_bytes() == (folder / f"serial/o{row}.tif").read_bytes()


@pytest.mark.posix("such signals")
@pytest.mark.parametrize(
    ("name", "early"), [("SIGINT", False), ("SIGINT", True), ("SIGTERM", False), ("SIGHUP", False)]
)
def test_what_ends_the_whole_group_stops_the_workers_and_leaves_nothing(work, name, early):
    """A terminal, a service manager or a batch system signals every process, workers included."""
    folder = work(3, 900)
    words = ["batch", "dask.csv", "--scheduler", "local:2", "--tmp", "tmp", "--radiometry", "dn"]
    process = subprocess.Popen(
        [sys.executable, "-m", "terramend.backend", *words], cwd=folder, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    )  # fmt: skip
    if early:  # the workers are on their way: two, and what tracks their resources
        while len(psutil.Process(process.pid).children()) < 3:
            time.sleep(0.005)
    else:
        begun(folder)
    os.killpg(process.pid, getattr(signal, name))
    out, errors = process.communicate(timeout=LONG)
    assert (process.returncode, out) == (4, ""), errors
    assert errors.splitlines()[-1].startswith("terramend: Cancelled after")
    assert list((folder / "tmp").iterdir()) == []
    assert all(path.name.startswith("o") for path in (folder / "dask").iterdir())
    assert ends(process.pid)


def worker(address: str, place: Path, cwd: Path | None = None, **environment: str) -> subprocess.Popen:
    """A worker as Dask's own command begins it."""
    options = ["--local-directory", str(place), "--no-nanny", "--nthreads", "2", "--no-dashboard"]
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, *options],
        stderr=subprocess.DEVNULL, env={**os.environ, **environment}, cwd=cwd,
    )  # fmt: skip


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and one worker as Dask's own commands begin them: address and processes."""
    file = tmp_path / "scheduler.json"
    begin = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    processes = [subprocess.Popen([*begin, *options], stderr=subprocess.DEVNULL)]
    while not (file.exists() and file.read_text().endswith("}")):
        assert processes[0].poll() is None
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]
    (tmp_path / "elsewhere").mkdir()
    processes.append(worker(address, tmp_path / "worker", tmp_path / "elsewhere"))
    with distributed.Client(address) as client:
        client.wait_for_workers(1, timeout=LONG)
    yield address, *processes
    for process in reversed(processes):
        process.kill()
        process.wait()


def test_ports_are_open_to_this_machine_alone():
    def listening() -> set:
        here = psutil.Process()
        found = [c for p in (here, *here.children(recursive=True)) for c in p.net_connections("inet")]
        return {connection.laddr for connection in found if connection.status == psutil.CONN_LISTEN}

    before = listening()
    with _client("local:1", 1, Watch()):
        opened = listening() - before
    assert opened and {address.ip for address in opened} == {"127.0.0.1"}


def test_a_cluster_that_runs_already(work, cluster):
    folder = work(2, 64)
    assert run(folder, "dask", cluster[0])["done"] == 2
    run(folder, "serial", None)
    for row in range(2):
        assert (folder / f"dask/o{row}.tif").read_bytes() == (folder / f"serial/o{row}.tif").read_bytes()


@pytest.mark.skipif(not OWN.exists(), reason="there is no path that each process sees in its own way")
@pytest.mark.parametrize(("row", "path"), [(f"t0.tif,{OWN}/m.tif,dask/o.tif", OWN / "m.tif"),
                                           (f"t0.tif,m.tif,{OWN}/dask/o.tif", OWN / "dask")])  # fmt: skip
def test_a_worker_that_has_other_files_under_the_same_path_does_no_row(work, cluster, monkeypatch, row, path):
    folder = work(1, 64)
    there = folder / "elsewhere/dask"
    there.mkdir()
    (folder / "dask.csv").write_text(f"target,gaps,output\n{row}\n")
    monkeypatch.chdir(folder)
    with pytest.raises(TerramendError) as caught:
        run(folder, "dask", cluster[0])
    assert (caught.value.code, caught.value.exit_status) == ("batch.unseen", 3)
    assert caught.value.arguments["path"] == str(path)
    assert [*there.iterdir(), *(folder / "dask").iterdir()] == []


def test_a_file_that_goes_meanwhile_fails_its_row_alone(work, cluster, monkeypatch):
    folder = work(2, 64)
    look = places.seen

    def seen(request: FillRequest, marks: dict) -> places.Seen:
        before = look(request, marks)
        (folder / "t0.tif").unlink(missing_ok=True)
        return before

    monkeypatch.setattr(places, "seen", seen)
    summary = run(folder, "dask", cluster[0])
    assert (summary["done"], summary["failed"]) == (1, 1)
    assert summary["failures"][0]["code"] == "raster.missing"


@pytest.mark.parametrize(("lost", "why"), [(0, "it is gone"), (1, "no workers any more")])
def test_a_cluster_that_is_lost_meanwhile(work, cluster, monkeypatch, lost, why):
    if lost:
        monkeypatch.setattr("terramend.backend.distribution.cluster.LONELY", 2.0)
    heard, listener = [], logging.Handler()
    monkeypatch.setattr(listener, "emit", heard.append)
    dask = logging.getLogger("distributed.client")
    dask.addHandler(listener)
    folder = work(3, 500)
    victim = cluster[1 + lost]

    def kill() -> None:
        begun(folder)
        victim.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(TerramendError, match=why) as caught:
        run(folder, "dask", cluster[0])
    thread.join()
    assert (caught.value.code, caught.value.exit_status) == ("batch.scheduler", 3)
    dask.removeHandler(listener)
    assert not heard  # Dask's own tracebacks beside our sentence


def test_a_worker_of_another_terramend_that_joins_later_does_no_row(work, cluster, tmp_path, root):
    address, _, first = cluster
    subprocess.run([sys.executable, str(root / "package.py"), "--out", str(tmp_path)], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.zip"))) as archive:
        archive.extractall(tmp_path / "other")
    asked = [sys.executable, "-c", "from terramend.backend.distribution.cluster import *; print(identity())"]
    there = {**os.environ, "PYTHONPATH": str(tmp_path / "other")}
    same = subprocess.run(asked, capture_output=True, text=True, env=there, check=True)
    assert same.stdout.strip() == identity()  # of the plugin's zip and of a checkout
    with (tmp_path / "other/terramend/models/planes.py").open("a") as file:
        file.write("# changed\n")
    late = []

    class Rows(list):
        """Read after the cluster's workers were looked at: another takes the place of the one that was."""

        def __iter__(self):
            late.append(worker(address, tmp_path / "late", PYTHONPATH=str(tmp_path / "other")))
            with distributed.Client(address) as client:
                client.wait_for_workers(2, timeout=LONG)
                first.kill()
                while len(client.scheduler_info()["workers"]) > 1:
                    time.sleep(0.05)
            return super().__iter__()

    folder = work(2, 32)
    rows = Rows(to_json(row.request) for row in from_table(folder / "dask.csv", COMMON))
    try:
        with pytest.raises(TerramendError) as caught:
            list(run_requests(rows, address, Watch()))
    finally:
        for process in late:
            process.kill()
            process.wait()
    assert caught.value.code == "batch.worker"
    assert caught.value.arguments["need"] == identity() != caught.value.arguments["have"]
    assert list((folder / "dask").iterdir()) == []


@pytest.mark.skipif(not OWN.exists(), reason="there is no path that each process sees in its own way")
def test_rows_of_a_worker_that_may_not_do_them_go_to_another(work, cluster, tmp_path, monkeypatch):
    folder, address, watch = work(4, 32), cluster[0], Watch()
    monkeypatch.chdir(folder)
    lines = [f"t{row}.tif,{OWN}/m.tif,dask/o{row}.tif,," for row in range(3)]
    lines.append(f"t3.tif,{OWN}/m.tif,dask/o3.tif,dask/o0.tif,none")  # which waits for the first
    text = "\n".join(["target,gaps,output,reference,reference-gaps-kind", *lines])
    (folder / "dask.csv").write_text(text)
    fit = worker(address, tmp_path / "fit", folder)
    try:
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=LONG)
        assert run(folder, "dask", address, watch)["done"] == 4
    finally:
        fit.kill()
        fit.wait()
    (notice,) = watch.notices
    assert notice.code == "batch.elsewhere" and f"does not see {OWN}/m.tif" in str(notice)


def test_other_packages_on_a_worker_are_told_and_a_worker_without_terramend_is_named(work, cluster, tmp_path):
    address = cluster[0]
    (tmp_path / "other.py").write_text("import numpy; numpy.__version__ = '1.0'")
    (tmp_path / "none.py").write_text("import sys; sys.modules['terramend'] = None")
    folder, watch = work(1, 32), Watch()
    with distributed.Client(address) as client, contextlib.ExitStack() as stack:
        for count, name in enumerate(("other", "none"), 2):
            late = worker(address, tmp_path / name, **{PRELOAD: f"['{tmp_path / name}.py']"})
            stack.callback(late.wait)
            stack.callback(late.kill)
            client.wait_for_workers(count, timeout=LONG)
            if name == "other":
                known = set(client.scheduler_info()["workers"])
                assert run(folder, "dask", address, watch)["done"] == 1
        (last,) = set(client.scheduler_info()["workers"]) - known
        with pytest.raises(TerramendError) as caught:
            run(folder, "serial", address)
    (notice,) = watch.notices
    assert (notice.code, notice.arguments["theirs"]) == ("batch.packages", "numpy 1.0")
    assert notice.arguments["ours"] == f"numpy {np.__version__}"
    assert (caught.value.code, caught.value.arguments["worker"]) == ("batch.worker", last)


@pytest.mark.parametrize("scheduler", ["local:0", "local:", "local:x", "http://x", "tcp://", "two"])
def test_what_is_no_scheduler(work, scheduler):
    with pytest.raises(TerramendError) as caught:
        run(work(1, 16), "dask", scheduler)
    assert caught.value.code == "batch.address"


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_server_that_is_no_scheduler(work, monkeypatch, scheme):
    monkeypatch.setattr("terramend.backend.distribution.cluster.CONNECT", 1.0)
    handler = type("Silent", (http.server.BaseHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(TerramendError) as caught:
        run(work(1, 16), "dask", f"{scheme}://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    assert caught.value.code == "batch.scheduler"


@pytest.mark.posix("process groups")
def test_workers_that_cannot_start(work):
    """As where there is no shared memory: the environment's fault, and nothing is left of them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "terramend.backend", "batch", "dask.csv", "--scheduler", "local:2"],
        cwd=work(1, 16), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "DASK_DISTRIBUTED__WORKER__PRELOAD": "['/nowhere/preload.py']"},
    )  # fmt: skip
    said = process.communicate(timeout=LONG)[1].splitlines()[-1]
    assert process.returncode == 3 and said.startswith(
        "terramend: The Dask scheduler local:2 cannot be used ("
    )
    assert ends(process.pid)


def test_without_dask_the_sentence_says_so(work):
    code = """
import sys
sys.modules["distributed"] = None
from terramend.backend.cli import main
raise SystemExit(main(sys.argv[1:]))
"""
    words = ["batch", str(work(1, 16) / "dask.csv"), "--scheduler", "local:2"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "distributed" in done.stderr and "install it" in done.stderr
