"""The worker thread of the panel, without Qt."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest
from panel_jobs import PATIENCE_S, endless, gated, short, until

from TissueElasticRegistrationLib.core.data.progress import Progress
from TissueElasticRegistrationLib.panel.job_thread import Failed, Finished, JobThread


@dataclass(frozen=True)
class Shown(Progress):
    """What a live registration yields now and then."""

    displacement_ras_mm: str = ""


@pytest.fixture
def jobs():
    thread = JobThread("test")
    yield thread
    assert thread.close(PATIENCE_S)


def drain(jobs: JobThread) -> list:
    """All that is taken until the job has ended."""
    taken = []
    until(lambda: taken.extend(jobs.take()) or any(isinstance(item, Finished | Failed) for item in taken))
    return taken


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
