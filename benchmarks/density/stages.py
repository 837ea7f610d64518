"""Time per stage of a slot, from the camera's packets to the answer."""

from collections import defaultdict
from typing import Any

from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.systems import WINDOW, Clock
from benchmarks.density.traces import SlotTrace
from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.grid import GridSpec
from codecsight.core.packet import StreamInfo
from codecsight.core.slot import ANCHOR_EVERY
from codecsight.engine import EngineConfig
from codecsight.models.base import VisionLanguageModel
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack, unpack
from codecsight.video.capture.source import SourceOptions
from codecsight.video.codec.decoder import Decoder
from codecsight.world.source import open_world


def edge_stages(spec: GridSpec, url: str, clock: Clock) -> dict[str, float]:
    """Milliseconds per slot of one camera: `signals` (with decoding), `select`, `encode patches`
    and, in the cloud, `decode patches`.
    """
    items = list(open_world(url, SourceOptions()).items())
    assert isinstance(items[0], StreamInfo)
    info, packets, codec = items[0], items[1:], PatchCodec()
    grid = spec.fit(info.width, info.height)
    decoder = Decoder(info)
    tracker = ChangeTracker(grid, make_policy("tracked", grid), ANCHOR_EVERY)
    spent: dict[str, float] = defaultdict(float)
    slots = 0
    for packet in packets:
        if isinstance(packet, StreamInfo):
            continue
        started = clock()
        frames = decoder.decode(packet)
        spent["signals"] += clock() - started
        for frame in frames:
            started = clock()
            slot = tracker.feed(frame)
            spent["select"] += clock() - started
            if slot is not None:
                started = clock()
                chunk = pack(slot, spec, "bench", codec)
                encoded = clock()
                unpack(chunk, spec)
                spent["encode patches"] += encoded - started
                spent["decode patches"] += clock() - encoded
                slots += 1
    return {name: round(1e3 * total / slots, 3) for name, total in spent.items()}


class TimedModel:
    """A model that measures the time of its ViT and text calls."""

    def __init__(self, model: VisionLanguageModel, clock: Clock) -> None:
        self._model, self._clock = model, clock
        self.spent: dict[str, float] = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode_slots(self, *arguments: Any) -> Any:
        """Encode slots, timed as `vit`."""
        return self._timed("vit", self._model.encode_slots, *arguments)

    def forward_packed(self, tokens: Any, *arguments: Any) -> Any:
        """Run the text model, timed as `text`; counts its tokens."""
        self.spent["tokens"] += len(tokens)
        return self._timed("text", self._model.forward_packed, tokens, *arguments)

    def _timed(self, name: str, call: Any, *arguments: Any) -> Any:
        started = self._clock()
        result = call(*arguments)
        self._model.synchronize()
        self.spent[name] += self._clock() - started
        return result


def engine_stages(
    model: VisionLanguageModel, traces: list[SlotTrace], streams: int, clock: Clock
) -> dict[str, float]:
    """Milliseconds per slot of this engine at its defaults.

    `vit`; `prefill` and `answer` (the text model's time, split by tokens); `other` (scheduling,
    building batches, reading answers).
    """
    timed = TimedModel(model, clock)
    system = EngineSystem(timed, "tracked", streams, EngineConfig(max_waiting=64))
    for stream in range(streams):
        system.open(stream, traces[stream % len(traces)])
    rounds = min(len(trace.slots["tracked"]) for trace in traces)
    started = prefilled = 0.0
    for index in range(rounds):
        if index == WINDOW:
            timed.spent.clear()
            started, prefilled = clock(), float(system.prefilled)
        for stream in range(streams):
            system.submit_slot(stream, index)
        while system.busy:
            system.step()
    total, slots = clock() - started, (rounds - WINDOW) * streams
    share = (system.prefilled - prefilled) / timed.spent["tokens"]
    text = timed.spent["text"]
    parts = {
        "vit": timed.spent["vit"],
        "prefill": text * share,
        "answer": text * (1 - share),
        "other": total - timed.spent["vit"] - text,
    }
    return {name: round(1e3 * spent / slots, 3) for name, spent in parts.items()}
