"""The demo's metrics and their summary."""

import pytest

from cluster.demo.summary import ArchiveCheck, DemoMetrics, summarise
from codecsight.core.answer import Answer
from codecsight.uplink.fleet import FlopCount, StreamStatus, WorkerStatus
from codecsight.uplink.messages import CameraStats


def _answer(end: float, stream: str = "demo.yard") -> Answer:
    return Answer(stream, "Is there a person?", True, 0.87654321, 0.0, end, 1e9, 12.0, 30, 96)


def _stream(*answers: Answer, uplink_bytes: int = 1000) -> StreamStatus:
    camera = CameraStats("live", 100, 9.97, 50_000, uplink_bytes, 30, 96, 2, 0, 0, 3)
    return StreamStatus("demo", "demo.yard", "live", camera, "gpu:n:0", 1, 60, 40, answers)


def _worker(name: str, answers: int = 4) -> WorkerStatus:
    flops = (FlopCount(1.0, 2.0), FlopCount(10.0, 20.0), FlopCount(3.0, 4.0))
    return WorkerStatus(name, 1, 40, 4096, 30, 96, *flops, answers)


def test_an_answer_polled_several_times_is_kept_once() -> None:
    metrics = DemoMetrics()
    metrics.add([_stream(_answer(1.5))], ())
    metrics.add([_stream(_answer(1.5))], ())
    metrics.add([_stream(_answer(3.5))], ())
    assert [answer.end for answer in metrics.answers.values()] == [1.5, 3.5]


def test_workers_are_summed_and_flops_dense_are_those_of_dense_windows() -> None:
    metrics = DemoMetrics()
    metrics.add([_stream(_answer(1.5))], (_worker("gpu:n:0"), _worker("gpu:n:1")))
    row = summarise(metrics, ArchiveCheck(5, 5, 700), {}, seconds=20.04, left_over=0)
    assert (row["cells_kept"], row["cells_total"]) == (60, 192)
    assert (row["flops"], row["flops_dense"]) == (6.0, 60.0)
    assert row["flops_by_part"]["dense_slots"] == {"vit": 6.0, "llm": 8.0}
    assert (row["source_bytes"], row["uplink_bytes"]) == (50_000, 1000)
    assert (row["segments_archived"], row["segments_verified"]) == (5, 5)
    assert row["answers"][0]["probability"] == 0.8765


def test_worker_status_is_kept_through_a_poll_without_workers() -> None:
    metrics = DemoMetrics()
    metrics.add([], (_worker("gpu:n:0"),))
    metrics.add([], ())
    assert len(metrics.workers) == 1


def test_the_uplink_rate_is_measured_over_the_last_polls() -> None:
    metrics = DemoMetrics()
    assert metrics.uplink_rate("demo.yard") == 0.0
    metrics.add([_stream(uplink_bytes=0)], ())
    metrics.add([_stream(uplink_bytes=500)], ())
    assert metrics.uplink_rate("demo.yard") > 0


def test_a_summary_without_streams_is_zero() -> None:
    row = summarise(DemoMetrics(), ArchiveCheck(0, 0, 0), {}, seconds=0.0, left_over=0)
    assert row["cameras"] == {}
    assert row["flops"] == pytest.approx(0)
