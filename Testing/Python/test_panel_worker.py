"""The worker thread of the panel and how its news reach the main thread."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

from TissueElasticRegistrationLib.core.progress import Progress, finish
from TissueElasticRegistrationLib.panel.job_thread import Failed, Finished, JobThread

PATIENCE_S = 5.0


@dataclass(frozen=True)
class Shown(Progress):
    """What a live registration yields now and then."""

    displacement_ras_mm: str = ""


@pytest.fixture
def jobs():
    thread = JobThread("test")
    yield thread
    assert thread.close(PATIENCE_S)


def until(condition) -> None:
    """Wait for the other thread; the test fails if it takes too long."""
    end = time.perf_counter() + PATIENCE_S
    while not condition():
        assert time.perf_counter() < end, "waited in vain"
        time.sleep(0.001)


def drain(jobs: JobThread) -> list:
    """All that is taken until the job has ended."""
    taken = []
    until(lambda: taken.extend(jobs.take()) or any(isinstance(item, Finished | Failed) for item in taken))
    return taken


def endless(log: list | None = None):
    """A job that never ends, and tells when and in which thread it was closed."""
    try:
        while True:
            time.sleep(0.001)
            yield Progress(0.0, "endless")
    finally:
        if log is not None:
            log.append(threading.current_thread())


def gated(gate: threading.Event, log: list):
    """A job whose first step lasts until the gate opens."""
    try:
        log.append("began")
        gate.wait(PATIENCE_S)
        yield Progress(0.5, "through the gate")
        log.append("second step")
        yield Progress(1.0, "too far")
    finally:
        log.append("closed")


def short(result: object = "result"):
    yield Progress(0.5, "half")
    return result


# --- the thread, without Qt -----------------------------------------------------------------------------------------


def test_job_runs_in_the_worker_thread_and_its_result_is_taken(jobs):
    def job():
        yield Progress(0.5, threading.current_thread().name)
        return 42

    jobs.start(job())
    assert drain(jobs) == [Progress(0.5, "test"), Finished(42)]


def test_no_thread_before_the_first_job():
    before = threading.active_count()
    jobs = JobThread()
    assert threading.active_count() == before and jobs.idle and jobs.take() == [] and jobs.close()


def test_all_jobs_run_in_the_same_thread(jobs):
    def job():
        yield Progress(0, "")
        return threading.get_ident()

    found = set()
    for _ in range(3):
        jobs.start(job())
        found.add(drain(jobs)[-1].result)
    assert len(found) == 1


def test_only_the_newest_item_of_each_kind_is_kept_in_order_of_arrival(jobs):
    def job():
        yield Progress(0.1, "old")
        yield Shown(0.2, "shown", "old")
        yield Shown(0.3, "shown", "newest")
        yield Progress(0.4, "newer")
        yield Progress(0.5, "newest")
        return None

    jobs.start(job())
    until(lambda: jobs.idle)
    assert jobs.take() == [Shown(0.3, "shown", "newest"), Progress(0.5, "newest"), Finished(None)]
    assert jobs.take() == []


def test_what_a_job_raises_is_taken_after_its_last_progress(jobs):
    def job():
        yield Progress(0.5, "half")
        raise ValueError("The images do not overlap.")

    jobs.start(job())
    progress, failed = drain(jobs)
    assert progress == Progress(0.5, "half")
    assert isinstance(failed.error, ValueError) and str(failed.error) == "The images do not overlap."


def test_thread_outlives_a_job_that_wants_to_exit(jobs):
    def job():
        raise SystemExit(3)
        yield

    jobs.start(job())
    assert isinstance(drain(jobs)[-1].error, SystemExit)
    jobs.start(short())
    assert drain(jobs)[-1] == Finished("result")


def test_newer_job_replaces_the_older_which_is_closed_after_its_step_in_the_worker_thread(jobs):
    gate, log = threading.Event(), []
    jobs.start(gated(gate, log))
    until(lambda: log == ["began"])

    def newer():
        log.append("newer began")
        yield Progress(0, "")
        return "newer"

    jobs.start(newer())
    time.sleep(0.02)
    assert log == ["began"], "the step of the older job was not waited for"
    gate.set()
    assert drain(jobs) == [Progress(0, ""), Finished("newer")]
    assert log == ["began", "closed", "newer began"]


def test_dropped_job_is_closed_in_the_worker_thread(jobs):
    log = []
    jobs.start(endless(log))
    until(jobs.take)
    jobs.drop()
    until(lambda: jobs.idle)
    assert [thread.name for thread in log] == ["test"]
    assert jobs.take() == []


def test_job_that_was_replaced_before_it_began_never_begins(jobs):
    gate, first, log = threading.Event(), [], []
    jobs.start(gated(gate, first))
    until(lambda: first)
    jobs.start(gated(gate, log))
    jobs.start(short("last"))
    gate.set()
    assert drain(jobs)[-1] == Finished("last")
    assert log == []


def test_nothing_of_a_finished_job_is_left_for_the_next(jobs):
    jobs.start(short("first"))
    until(lambda: jobs.idle)
    gate = threading.Event()
    jobs.start(gated(gate, []))
    assert jobs.take() == []
    gate.set()


def test_what_a_dropped_job_raises_while_it_is_closed_is_kept_apart(jobs):
    def job():
        try:
            while True:
                yield Progress(0, "")
        finally:
            raise OSError("disk full")

    jobs.start(job())
    until(jobs.take)
    jobs.drop()
    until(lambda: jobs.idle)
    assert jobs.take() == []
    assert [str(error) for error in jobs.take_cleanup_errors()] == ["disk full"]
    assert jobs.take_cleanup_errors() == []


def test_wait_ends_early_when_the_job_ends(jobs):
    gate = threading.Event()
    jobs.start(gated(gate, []))
    jobs.take()
    threading.Timer(0.05, gate.set).start()
    began = time.perf_counter()
    jobs.wait(PATIENCE_S)
    assert 0.03 < time.perf_counter() - began < 1


def test_job_gets_its_share_of_time_however_often_it_reports(jobs):
    """News every millisecond must not end every wait at once: the main thread would do nothing but deliver them."""
    def job():
        while True:
            time.sleep(0.0005)  # as in torch, others may run meanwhile
            yield Progress(0, "")

    jobs.start(job())
    waits = []
    for _ in range(10):
        jobs.take()
        began = time.perf_counter()
        jobs.wait(0.1)
        waits.append(time.perf_counter() - began)
    assert min(waits) > 0.005


def test_close_ends_the_thread(jobs):
    log = []
    jobs.start(endless(log))
    until(jobs.take)
    assert jobs.close(PATIENCE_S)
    assert not log[0].is_alive()
    jobs.start(short("again"))
    assert drain(jobs)[-1] == Finished("again")


def test_jobs_after_a_close_share_a_thread_again(jobs):
    jobs.start(endless())
    jobs.close(PATIENCE_S)
    found = set()
    for _ in range(2):
        jobs.start(threading.current_thread() for _ in "x")
        until(lambda: jobs.idle)
        found |= {item for item in jobs.take() if isinstance(item, threading.Thread)}
    assert len(found) == 1 and threading.main_thread() not in found


def test_close_does_not_wait_longer_than_told_for_a_step_that_hangs(jobs):
    gate, log = threading.Event(), []
    jobs.start(gated(gate, log))
    until(lambda: log)
    began = time.perf_counter()
    assert not jobs.close(0.05)
    assert 0.04 < time.perf_counter() - began < 0.5
    gate.set()
    until(lambda: log == ["began", "closed"])


def test_start_after_a_close_that_gave_up_waits_for_the_hanging_step(jobs):
    gate, log = threading.Event(), []
    jobs.start(gated(gate, log))
    until(lambda: log)
    jobs.close(0.01)
    jobs.start(short("after"))
    time.sleep(0.02)
    assert jobs.take() == []
    gate.set()
    assert drain(jobs)[-1] == Finished("after")
    assert log == ["began", "closed"]


def test_thread_keeps_nothing_of_a_finished_job(jobs):
    class Large:
        alive = 0

        def __init__(self):
            Large.alive += 1

        def __del__(self):
            Large.alive -= 1

    def job():
        large = Large()
        yield large
        yield Progress(1, "done")

    jobs.start(job())
    drain(jobs)
    until(lambda: jobs.idle)
    until(lambda: Large.alive == 0)


# --- the runner, in the event loop ----------------------------------------------------------------------------------


class Heard:
    """Callbacks that write down what they hear and in which thread."""

    def __init__(self):
        self.items, self.threads = [], set()

    def _hear(self, kind, value):
        self.items.append((kind, value))
        self.threads.add(threading.current_thread())

    def callbacks(self):
        return {"on_progress": lambda item: self._hear("progress", item),
                "on_done": lambda result: self._hear("done", result),
                "on_error": lambda error: self._hear("error", error)}

    @property
    def ended(self):
        return any(kind in ("done", "error") for kind, _ in self.items)


@pytest.fixture
def qt_host():
    if find_spec("PySide6") is None:
        pytest.skip("needs PySide6")
    from host import pythonqt

    pythonqt.install()
    pythonqt.slot_errors.clear()
    yield pythonqt
    assert pythonqt.slot_errors == []


@pytest.fixture
def runner(qt_host):
    from TissueElasticRegistrationLib.panel.worker import JobRunner

    made = JobRunner()
    yield made
    assert made.close(PATIENCE_S)


def loop_until(condition) -> None:
    import qt

    end = time.perf_counter() + PATIENCE_S
    while not condition():
        assert time.perf_counter() < end, "waited in vain"
        qt.QCoreApplication.processEvents()


def loop_for(seconds: float) -> None:
    end = time.perf_counter() + seconds
    loop_until(lambda: time.perf_counter() > end)


def timer_is_active(runner) -> bool:
    return runner._timer.isActive()


def test_callbacks_come_in_the_main_thread_in_order(runner):
    heard = Heard()
    runner.start(short(7), **heard.callbacks())
    assert runner.busy and heard.items == []
    loop_until(lambda: heard.ended)
    assert heard.items == [("progress", Progress(0.5, "half")), ("done", 7)]
    assert heard.threads == {threading.main_thread()}
    assert not runner.busy


def test_failure_of_the_job_reaches_on_error(runner):
    heard = Heard()
    runner.start((1 / 0 for _ in "x"), **heard.callbacks())
    loop_until(lambda: heard.ended)
    assert [kind for kind, _ in heard.items] == ["error"] and isinstance(heard.items[0][1], ZeroDivisionError)
    assert not runner.busy


def test_failure_that_nobody_asked_for_is_logged(runner, caplog):
    runner.start(1 / 0 for _ in "x")
    with caplog.at_level(logging.ERROR):
        loop_until(lambda: not runner.busy)
    assert "A job failed." in caplog.text and "ZeroDivisionError" in caplog.text


def test_timer_runs_only_while_there_is_work(runner):
    assert not timer_is_active(runner)
    runner.start(short())
    assert timer_is_active(runner)
    loop_until(lambda: not runner.busy)
    loop_until(lambda: not timer_is_active(runner))


def test_no_callback_of_the_older_job_after_the_start_of_a_newer(runner):
    older, newer = Heard(), Heard()
    runner.start(endless(), **older.callbacks())
    loop_until(lambda: older.items)
    count = len(older.items)
    runner.start(short("new"), **newer.callbacks())
    loop_until(lambda: newer.ended)
    loop_for(0.05)
    assert len(older.items) == count
    assert newer.items[-1] == ("done", "new")


def test_no_callback_after_cancel_though_the_result_is_there_already(runner):
    heard = Heard()
    runner.start(short(), **heard.callbacks())
    until(lambda: runner._thread.idle)
    runner.cancel()
    assert not runner.busy
    loop_for(0.05)
    assert heard.items == []
    assert not timer_is_active(runner)


def test_cancelled_job_is_closed_before_the_timer_rests(runner):
    gate, log = threading.Event(), []
    runner.start(gated(gate, log))
    loop_until(lambda: log == ["began"])
    runner.cancel()
    loop_for(0.05)
    assert timer_is_active(runner), "the thread gets no time to end its step"
    gate.set()
    loop_until(lambda: not timer_is_active(runner))
    assert log == ["began", "closed"]


def test_callback_may_start_the_next_job(runner):
    heard = Heard()
    runner.start(short("first"), on_done=lambda result: runner.start(short("second"), **heard.callbacks()))
    loop_until(lambda: heard.ended)
    assert heard.items[-1] == ("done", "second")


def test_callback_that_starts_another_job_is_the_last_one_of_the_older(runner):
    """Progress and end arrive together here; the start in between forgets the end."""
    older, newer = Heard(), Heard()
    callbacks = older.callbacks()
    callbacks["on_progress"] = lambda _: runner.start(short("newer"), **newer.callbacks())
    runner.start(short("older"), **callbacks)
    until(lambda: runner._thread.idle)
    loop_until(lambda: newer.ended)
    loop_for(0.03)
    assert older.items == []


def test_callback_that_cancels_is_the_last_one(runner):
    heard = Heard()
    callbacks = heard.callbacks()
    callbacks["on_progress"] = lambda _: runner.cancel()
    runner.start(short(), **callbacks)
    until(lambda: runner._thread.idle)
    loop_for(0.03)
    assert heard.items == []


def test_job_that_ends_between_two_looks_at_it_is_not_forgotten(runner):
    class EndsAfterTheFirstLook(JobThread):
        looks = 0

        def take(self):
            self.looks += 1
            return [Finished("seen")] if self.looks == 2 else []

        @property
        def idle(self):
            return self.looks > 0

    heard = Heard()
    runner._thread = EndsAfterTheFirstLook()
    runner.start(short(), **heard.callbacks())
    loop_for(0.05)
    assert ("done", "seen") in heard.items


def test_exception_of_a_callback_does_not_stop_the_ones_after_it(runner, qt_host):
    done = []

    def fail(_):
        raise RuntimeError("fault of the caller")

    runner.start(short("result"), on_progress=fail, on_done=done.append)
    until(lambda: runner._thread.idle)
    loop_until(lambda: done)
    assert done == ["result"]
    assert len(qt_host.slot_errors) == 1
    qt_host.slot_errors.clear()


def test_result_arrives_while_a_callback_runs_its_own_event_loop(runner):
    """An error box opened by a callback must not stop later jobs."""
    heard = Heard()

    def open_box(_):
        runner.start(short("inside"), **heard.callbacks())
        loop_until(lambda: heard.ended)

    runner.start(short("outside"), on_done=open_box)
    loop_until(lambda: heard.ended)
    assert heard.items[-1] == ("done", "inside")


def test_failed_cleanup_of_a_cancelled_job_is_logged(runner, caplog):
    def job():
        try:
            while True:
                yield Progress(0, "")
        finally:
            raise OSError("disk full")

    heard = Heard()
    runner.start(job(), **heard.callbacks())
    loop_until(lambda: heard.items)
    with caplog.at_level(logging.ERROR):
        runner.cancel()
        loop_until(lambda: not timer_is_active(runner))
    assert "disk full" in caplog.text


def test_close_stops_everything_within_its_time(runner):
    gate, log, heard = threading.Event(), [], Heard()
    runner.start(gated(gate, log), **heard.callbacks())
    loop_until(lambda: log)
    began = time.perf_counter()
    assert not runner.close(0.05)
    assert time.perf_counter() - began < 0.5
    assert not timer_is_active(runner) and not runner.busy
    gate.set()
    loop_for(0.03)
    assert heard.items == []


def test_runner_works_again_after_close(runner):
    heard = Heard()
    runner.start(endless())
    assert runner.close(PATIENCE_S)
    runner.start(short("again"), **heard.callbacks())
    loop_until(lambda: heard.ended)
    assert heard.items[-1] == ("done", "again")


# --- as in Slicer, which holds the interpreter while its event loop idles --------------------------------------------


def torch_steps(count: int):
    import torch

    image, kernel = torch.randn(1, 8, 24, 40, 40, requires_grad=True), torch.randn(8, 8, 3, 3, 3)
    for _ in range(count):
        torch.nn.functional.conv3d(image, kernel, padding=1).square().mean().backward()
        yield Progress(0, "convolution")


def python_steps(count: int):
    for _ in range(count):
        sum(number * number % 7 for number in range(300_000))
        yield Progress(0, "arithmetic")


def quick_steps(count: int):
    for _ in range(count):
        yield Progress(0, "nothing to do")


def busy_loop(runner, job, timeout_s: float = 20.0):
    """How long the event loop was blocked while the job ran; the job must come to its end."""
    from host.event_loop import LoopWatch, run_loop

    heard = Heard()
    with LoopWatch() as watch:
        runner.start(job, **heard.callbacks())
        assert run_loop(until=lambda: heard.ended, timeout_s=timeout_s), "the job did not get enough time"
    assert heard.items[-1] == ("done", None)
    return watch.result()


@pytest.fixture
def gil_keeping_loop(qt_host):
    from host import event_loop

    if not event_loop.keeps_gil():
        pytest.skip("needs Qt's event loop by its symbol, to keep the interpreter as Slicer does")


def test_thread_works_while_the_event_loop_keeps_the_interpreter(runner, gil_keeping_loop):
    from host.event_loop import run_loop

    steps = []

    def job():
        while True:
            time.sleep(0.001)
            steps.append(1)
            yield Progress(0, "")

    runner.start(job())
    run_loop(timeout_s=0.5)
    assert len(steps) > 150  # of 500; a thread that nobody waits for makes 1 to 50


@pytest.mark.parametrize(("make", "count"), [(torch_steps, 25), (python_steps, 15), (quick_steps, 100_000)])
def test_event_loop_stays_smooth_while_a_job_runs(runner, gil_keeping_loop, make, count):
    """Three attempts, as other programs on the same processors count too."""
    finish(make(2))
    found = []
    for _ in range(3):
        found.append(busy_loop(runner, make(count)))
        if found[-1].percentile_95_ms <= 35 and found[-1].longest_ms <= 60:
            return
    raise AssertionError(f"blocked for too long: {found}")
