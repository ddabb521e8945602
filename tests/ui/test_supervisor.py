"""The supervisor against a backend that misbehaves on demand."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terramend.ui import supervisor as module
from terramend.ui.backend_process import BackendProcess
from terramend.ui.supervisor import Call, Supervisor
from terramend.ui.words.messages import ClientError

FAKE = str(Path(__file__).with_name("fake_backend.py"))
LONG = 60
"""Seconds that only a failure takes; what hangs in the fake backend hangs for longer."""


class Story:
    """A supervisor on the fake backend, and all that it told."""

    def __init__(self, interpreter: Callable[[], str]) -> None:
        self.starts: list[float] = []
        self.ends: list[ClientError] = []
        self.log: list[str] = []
        self.supervisor = Supervisor(
            interpreter, lambda: self.starts.append(0), self.ends.append, self.log.append
        )

    def begin(self, method: str, **params: object) -> tuple[Call, queue.SimpleQueue]:
        news: queue.SimpleQueue = queue.SimpleQueue()
        return self.supervisor.submit(method, params, lambda *pair: news.put(pair)), news

    def outcome(self, method: str, **params: object) -> tuple[str, object]:
        call, news = self.begin(method, **params)
        return last(call, news)


def heard(news: queue.SimpleQueue) -> list[tuple[str, object]]:
    """All that a call tells up to its final word, after which there is nothing."""
    told = [news.get(timeout=LONG)]
    while told[-1][0] not in ("result", "error"):
        told.append(news.get(timeout=LONG))
    assert news.empty()
    return told


def last(call: Call, news: queue.SimpleQueue) -> tuple[str, object]:
    """The final word of a call."""
    word = heard(news)[-1]
    assert call.wait(LONG)
    return word


def threads_end() -> None:
    """Threads of ours that have nothing left to do may need a moment to go."""
    for thread in threading.enumerate():
        if thread.name.startswith("terramend"):
            thread.join(LONG)
            assert not thread.is_alive(), thread.name


@pytest.fixture
def stories() -> Iterator[Callable[..., Story]]:
    made: list[Story] = []

    def make(interpreter: Callable[[], str] = lambda: FAKE) -> Story:
        made.append(Story(interpreter))
        return made[-1]

    yield make
    for story in made:
        story.supervisor.stop()
        assert story.supervisor.pid is None
    threads_end()


@pytest.fixture
def story(stories: Callable[..., Story]) -> Story:
    return stories()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda mode: monkeypatch.setenv("FAKE_BACKEND", mode)


def test_result_progress_and_notice_come_in_order(story: Story) -> None:
    call, news = story.begin("fill", steps=5)
    kinds = [kind for kind, _ in heard(news)]
    assert call.done and kinds == ["progress"] * 3 + ["log"] + ["progress"] * 2 + ["result"]


def test_one_process_serves_many_calls_at_once(story: Story) -> None:
    calls = [story.begin("fill", number=n, steps=3) for n in range(20)]
    results = [last(*pair) for pair in calls]
    assert [value["echo"]["number"] for _, value in results] == list(range(20))
    assert len({value["pid"] for _, value in results}) == 1
    assert len(story.starts) == 1


def test_submit_does_not_wait_for_the_start(story: Story, fake: Callable, until: Callable) -> None:
    fake("silent")
    call, news = story.begin("fill")
    until(lambda: story.supervisor.pid is not None)
    call.cancel()  # while the handshake hangs
    kind, error = last(call, news)
    assert kind == "error" and error.cancelled and not story.starts


def test_silent_backend_is_given_up(story: Story, fake: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("silent")
    with monkeypatch.context() as patch:  # the next backend has all its time to start
        patch.setattr(module, "HANDSHAKE", 0.5)
        kind, error = story.outcome("fill")
    assert (kind, error.code) == ("error", "backend.start")
    assert story.supervisor._process is None  # the next call cannot reach the one that was killed
    fake("")
    assert story.outcome("fill")[0] == "result"


def test_sentence_of_a_known_error_is_made_here(story: Story) -> None:
    kind, error = story.outcome("refuse")
    assert kind == "error" and error.code == "file.access" and error.exit_status == 2
    assert str(error).startswith("x.tif cannot be used: gone")


def test_unknown_error_keeps_the_words_of_the_backend(story: Story) -> None:
    _, error = story.outcome("unknown-code")
    assert (error.code, str(error)) == ("of.tomorrow", "The backend's own words.")


@pytest.mark.parametrize("fault", ["crash", "garbage", "odd id", "long line", "close stdout"])
def test_after_a_fault_there_is_a_message_and_the_next_call_works(story: Story, fault: str) -> None:
    first = story.outcome("fill")[1]["pid"]
    other, others_news = story.begin("fill", steps=1000)
    kind, error = story.outcome(fault)
    assert (kind, error.code) == ("error", "backend.crashed")
    assert last(other, others_news)[1].code == "backend.crashed"
    assert len(story.ends) == 1
    if fault == "crash":
        assert "11" in str(error) and "segmentation fault, say" in error.log
        assert "segmentation fault, say" in story.log
    assert story.outcome("fill")[1]["pid"] != first


def test_death_while_idle_goes_unnoticed_by_the_next_call(story: Story) -> None:
    pid = story.outcome("fill")[1]["pid"]
    os.kill(pid, 9)
    while Path(f"/proc/{pid}").exists():  # of a zombie, threads may live that still hold its pipes
        time.sleep(0.001)
    assert story.outcome("fill")[0] == "result"


@pytest.mark.parametrize("cancelled", [False, True])
def test_death_while_a_call_is_on_its_way(
    story: Story, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    pid = story.outcome("fill")[1]["pid"]
    send = BackendProcess.send
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()

    def late(process: BackendProcess, message: dict) -> None:
        if process.pid == pid:
            call = calls.get(timeout=LONG)
            os.kill(pid, 9)
            while not process.ended:
                time.sleep(0.001)
            if cancelled:
                call.cancel()
        send(process, message)

    monkeypatch.setattr(BackendProcess, "send", late)
    call, news = story.begin("fill")
    calls.put(call)
    kind, value = last(call, news)
    assert value.cancelled if cancelled else kind == "result"


def test_cancel_is_heeded_and_the_process_lives_on(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", LONG)
    pid = story.outcome("fill")[1]["pid"]
    call, news = story.begin("fill", steps=10_000)
    news.get(timeout=LONG)
    call.cancel()
    call.cancel()  # harmless
    kind, error = last(call, news)
    assert kind == "error" and error.cancelled
    assert story.supervisor.pid == pid and not story.ends


def test_deaf_backend_is_killed(story: Story, fake: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    fake("deaf")
    call, news = story.begin("fill", steps=10_000)
    news.get(timeout=LONG)
    call.cancel()
    kind, error = last(call, news)
    assert kind == "error" and error.cancelled
    assert "did not heed" in str(story.ends[0])
    assert story.outcome("fill")[0] == "result"


def test_cancel_before_it_is_sent_never_reaches_the_backend(stories: Callable[..., Story]) -> None:
    gate = threading.Event()
    told = stories(lambda: FAKE if gate.wait(LONG) else "")
    call, news = told.begin("fill")
    call.cancel()
    assert last(call, news)[1].cancelled
    gate.set()
    assert told.outcome("fill")[0] == "result"
    assert call.id == 0


def test_start_failures_have_their_sentences(
    stories: Callable[..., Story], fake: Callable, tmp_path: Path
) -> None:
    story = stories()
    fake("dies at start")
    _, error = story.outcome("fill")
    assert error.code == "backend.start" and "no numpy here" in str(error)
    fake("other version")
    _, error = story.outcome("fill")
    assert error.code == "backend.version" and "9.9" in str(error)
    no_program = tmp_path / "python"
    no_program.write_text("")
    other = stories(lambda: str(no_program))
    assert other.outcome("fill")[1].code == "backend.interpreter"

    def none() -> str:
        raise ClientError("backend.absent")

    assert stories(none).outcome("fill")[1].code == "backend.absent"


def test_too_long_a_request_is_refused_and_harms_nothing(story: Story) -> None:
    kind, error = story.outcome("fill", text="x" * (1 << 20))
    assert (kind, error.code) == ("error", "request.field")
    assert story.outcome("fill")[0] == "result"


def test_stop_ends_process_and_threads_and_may_be_undone(story: Story) -> None:
    call, news = story.begin("fill", steps=10_000)
    pid = news.get(timeout=LONG) and story.supervisor.pid
    story.supervisor.stop()
    assert last(call, news)[1].cancelled
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    threads_end()
    assert not story.ends
    assert story.outcome("fill")[0] == "result"


def test_stop_kills_what_clings(story: Story, fake: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from terramend.ui import backend_process

    monkeypatch.setattr(backend_process, "GRACE", 5.0)
    fake("clings")
    story.outcome("fill")
    pid = story.supervisor.pid
    story.supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_stop_at_any_moment_of_the_start(stories: Callable[..., Story]) -> None:
    for milliseconds in (0, 1, 2, 5, 10, 20, 40, 80):
        story = stories()
        story.supervisor._on_start = lambda s=story: s.supervisor.submit("doctor", {}, print, revive=False)
        call, news = story.begin("fill")
        time.sleep(milliseconds / 1000)
        story.supervisor.stop()
        last(call, news)
        assert story.supervisor.pid is None
        threads_end()


def test_stopped_for_good_stays_stopped(story: Story) -> None:
    story.supervisor.stop(for_good=True)
    assert story.outcome("fill")[1].cancelled
    assert story.supervisor.pid is None and not story.starts
