"""Where a slot's time goes, from the camera's packets to the answer."""

from collections import defaultdict
from typing import Any

from benchmarks.density.clock import Clock
from benchmarks.density.engine_system import EngineSystem
from benchmarks.density.systems import WINDOW
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
    """Milliseconds per slot of one camera: `signals` (decoding included), `select`, `code patches`
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
        began = clock()
        frames = decoder.decode(packet)
        spent["signals"] += clock() - began
        for frame in frames:
            began = clock()
            slot = tracker.feed(frame)
            spent["select"] += clock() - began
            if slot is not None:
                began = clock()
                chunk = pack(slot, spec, "bench", codec)
                coded = clock()
                unpack(chunk, spec)
                spent["code patches"] += coded - began
                spent["decode patches"] += clock() - coded
                slots += 1
    return {name: round(1e3 * total / slots, 3) for name, total in spent.items()}


class Timed:
    """A model whose two large calls are timed."""

    def __init__(self, model: VisionLanguageModel, clock: Clock) -> None:
        self._model, self._clock = model, clock
        self.spent: dict[str, float] = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode_slots(self, *what: Any) -> Any:
        """The ViT."""
        return self._timed("vit", self._model.encode_slots, *what)

    def forward_packed(self, tokens: Any, *what: Any) -> Any:
        """The text model."""
        self.spent["tokens"] += len(tokens)
        return self._timed("text", self._model.forward_packed, tokens, *what)

    def _timed(self, name: str, call: Any, *what: Any) -> Any:
        began = self._clock()
        found = call(*what)
        self._model.synchronize()
        self.spent[name] += self._clock() - began
        return found


def engine_stages(
    model: VisionLanguageModel, films: list[SlotTrace], streams: int, clock: Clock
) -> dict[str, float]:
    """Milliseconds per slot of this engine at its defaults: `vit`, `prefill` and `answer` (the text
    model's time, by tokens), and `rest` (taking in, planning, laying out, reading answers).
    """
    timed = Timed(model, clock)
    system = EngineSystem(timed, "tracked", streams, EngineConfig(max_waiting=64))
    for stream in range(streams):
        system.open(stream, films[stream % len(films)])
    rounds = min(len(film.slots["tracked"]) for film in films)
    began = prefilled = 0.0
    for index in range(rounds):
        if index == WINDOW:
            timed.spent.clear()
            began, prefilled = clock(), float(system.prefilled)
        for stream in range(streams):
            system.take(stream, index)
        while system.busy:
            system.work()
    total, slots = clock() - began, (rounds - WINDOW) * streams
    share = (system.prefilled - prefilled) / timed.spent["tokens"]
    text = timed.spent["text"]
    parts = {
        "vit": timed.spent["vit"],
        "prefill": text * share,
        "answer": text * (1 - share),
        "rest": total - timed.spent["vit"] - text,
    }
    return {name: round(1e3 * spent / slots, 3) for name, spent in parts.items()}
