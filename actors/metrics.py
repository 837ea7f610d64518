"""Prometheus metrics of cameras and workers. Ray exports them with the prefix `ray_`.

Each camera adds one time series per metric. That is cheap for a site with some hundred cameras, so
keep the number of other labels small.
"""

from ray.util.metrics import Counter, Gauge, Histogram

STAGE_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]


class CameraMetrics:
    """Counters of one camera actor."""

    def __init__(self, site: str, camera: str) -> None:
        labels = {"site": site, "camera": camera}
        self.frames = _counter("codecsight_frames_decoded_total", "Frames decoded", labels)
        self.cells_kept = _counter("codecsight_cells_kept_total", "Cells sent", labels)
        self.cells_total = _counter(
            "codecsight_cells_total", "Cells of all slots, sent or pruned", labels
        )
        self.uplink_bytes = _counter(
            "codecsight_uplink_bytes_total", "Bytes of chunks offered to the uplink", labels
        )
        self.anomalies = _counter(
            "codecsight_anomalies_total", "Stream faults that were recovered from", labels
        )


class WorkerMetrics:
    """Metrics of one GPU worker."""

    def __init__(self, worker: str) -> None:
        labels = {"worker": worker}
        self.kv_used = _gauge("codecsight_kv_blocks_used", "KV blocks reserved for streams", labels)
        self.memory_used = _gauge(
            "codecsight_memory_used_bytes",
            "Bytes reserved for streams: KV blocks and auxiliary memory",
            labels,
        )
        self.tokens = _counter("codecsight_prefill_tokens_total", "Tokens prefilled", labels)
        self.answers = _counter("codecsight_answers_total", "Answers to standing questions", labels)
        self.stage_seconds = Histogram(
            "codecsight_slot_stage_duration_seconds",
            "Time per slot in each stage of the engine (vit, prefill)",
            boundaries=STAGE_BUCKETS_S,
            tag_keys=("worker", "stage"),
        )
        self.stage_seconds.set_default_tags(labels)


def _counter(name: str, description: str, labels: dict[str, str]) -> Counter:
    counter = Counter(name, description, tag_keys=tuple(labels))
    counter.set_default_tags(labels)
    return counter


def _gauge(name: str, description: str, labels: dict[str, str]) -> Gauge:
    gauge = Gauge(name, description, tag_keys=tuple(labels))
    gauge.set_default_tags(labels)
    return gauge
