"""How the news of the worker thread reach the main thread, whatever the event loop does."""

from __future__ import annotations

import logging
import threading
import time
from importlib.util import find_spec

import pytest
from panel_jobs import PATIENCE_S, endless, gated, short, until

from TissueElasticRegistrationLib.core.data.progress import Progress
from TissueElasticRegistrationLib.panel.job_thread import Finished, JobThread


class Heard:
    """Callbacks that write down what they hear and in which thread."""

    def __init__(self):
        self.items, self.threads = [], set()

    def _hear(self, kind, value):
        self.items.append((kind, value))
        self.threads.add(threading.current_thread())

    def callbacks(self):
        return {
            "on_progress": lambda item: self._hear("progress", item),
            "on_done": lambda result: self._hear("done", result),
            "on_error": lambda error: self._hear("error", error),
        }

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
    from TissueElasticRegistrationLib.panel.job_runner import JobRunner

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
    return runner.listening


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
    until(lambda: runner.idle)
    runner.cancel()
    assert not runner.busy
    loop_for(0.05)
    assert heard.items == []
    assert not timer_is_active(runner)


def test_canceled_job_is_closed_before_the_timer_rests(runner):
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
    until(lambda: runner.idle)
    loop_until(lambda: newer.ended)
    loop_for(0.03)
    assert older.items == []


def test_callback_that_cancels_is_the_last_one(runner):
    heard = Heard()
    callbacks = heard.callbacks()
    callbacks["on_progress"] = lambda _: runner.cancel()
    runner.start(short(), **callbacks)
    until(lambda: runner.idle)
    loop_for(0.03)
    assert heard.items == []


def test_job_that_ends_between_two_looks_at_it_is_not_forgotten(qt_host):
    from TissueElasticRegistrationLib.panel.job_runner import JobRunner

    class EndsAfterTheFirstLook(JobThread):
        looks = 0

        def take(self):
            self.looks += 1
            return [Finished("seen")] if self.looks == 2 else []

        @property
        def idle(self):
            return self.looks > 0

    heard, runner = Heard(), JobRunner(EndsAfterTheFirstLook())
    runner.start(short(), **heard.callbacks())
    loop_for(0.05)
    assert ("done", "seen") in heard.items
    assert runner.close(PATIENCE_S)


def test_exception_of_a_callback_does_not_stop_the_ones_after_it(runner, qt_host):
    done = []

    def fail(_):
        raise RuntimeError("fault of the caller")

    runner.start(short("result"), on_progress=fail, on_done=done.append)
    until(lambda: runner.idle)
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


def test_failed_cleanup_of_a_canceled_job_is_logged(runner, caplog):
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


def busy_loop(runner, job, timeout_s: float = 60.0):
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


@pytest.mark.parametrize(("make", "count"), [(torch_steps, 5), (python_steps, 5), (quick_steps, 10_000)])
def test_jobs_end_while_the_event_loop_keeps_the_interpreter(runner, gil_keeping_loop, make, count):
    """How smooth the loop stays meanwhile is measured by Testing/benchmarks/limits.py."""
    busy_loop(runner, make(count))
