"""The fleet's metrics, exported by Ray for Prometheus (as `ray_codecsight_...`).

Tags stay few: a label per camera is kept to what a site of some hundred cameras can bear.
"""

from ray.util.metrics import Counter, Gauge, Histogram

CAMERA_TAGS = ("site", "camera")
WORKER_TAGS = ("worker",)
STAGES_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]


class CameraMetrics:
    """What one camera actor counts."""

    def __init__(self, site: str, camera: str) -> None:
        tags = {"site": site, "camera": camera}
        self.frames = _counter("codecsight_frames_decoded_total", "Frames decoded", tags)
        self.cells_kept = _counter("codecsight_cells_kept_total", "Cells shipped", tags)
        self.cells_total = _counter("codecsight_cells_total", "Cells looked at", tags)
        self.uplink_bytes = _counter("codecsight_uplink_bytes_total", "Chunk bytes offered", tags)
        self.anomalies = _counter("codecsight_anomalies_total", "Troubles survived", tags)


class WorkerMetrics:
    """What one GPU worker counts."""

    def __init__(self, worker: str) -> None:
        tags = {"worker": worker}
        self.kv_used = Gauge(
            "codecsight_kv_blocks_used", "KV blocks held by streams", tag_keys=WORKER_TAGS
        )
        self.kv_used.set_default_tags(tags)
        self.memory_used = Gauge(
            "codecsight_memory_used_bytes",
            "Bytes set aside for streams: the KV pool, and what is kept beside it",
            tag_keys=WORKER_TAGS,
        )
        self.memory_used.set_default_tags(tags)
        self.tokens = _counter("codecsight_prefill_tokens_total", "Tokens prefilled", tags)
        self.answers = _counter("codecsight_answers_total", "Answers given", tags)
        self.stage_ms = Histogram(
            "codecsight_window_latency_ms",
            "Time per slot by stage",
            boundaries=STAGES_MS,
            tag_keys=("worker", "stage"),
        )
        self.stage_ms.set_default_tags(tags)


def _counter(name: str, description: str, tags: dict[str, str]) -> Counter:
    counter = Counter(name, description, tag_keys=tuple(tags))
    counter.set_default_tags(tags)
    return counter
