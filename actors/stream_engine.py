"""An engine with admission of streams by memory and device time, and with standing questions."""

import time
from dataclasses import dataclass

from codecsight.answers.standing import StandingQuestions
from codecsight.config.cloud_config import CloudConfig, EngineSection
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine.config import EngineConfig, EvictionPolicy, QueryView
from codecsight.engine.engine import Engine
from codecsight.engine.errors import AdmissionRefused, SlotRefused
from codecsight.engine.preparation import PreparedSlot
from codecsight.engine.profile_run import seconds_per_slot
from codecsight.engine.request import OnToken, QuestionBatch, ignore_tokens
from codecsight.engine.resources.memory import fit_to_memory
from codecsight.engine.resources.utilization import HORIZON_S, Utilization
from codecsight.engine.results import EngineStatus, JobResult
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model


@dataclass(frozen=True, slots=True)
class OpenResult:
    """Result of opening a stream: whether its window is new, and whether its next slot must be an
    anchor.
    """

    new: bool
    needs_anchor: bool


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A slot and the standing questions that are due, checked and tokenised."""

    prepared: PreparedSlot
    question_batch: QuestionBatch | None


class StreamEngine:
    """The engine of a worker. `prepare` and `prepare_question` may run on any thread, all other
    methods on the thread of its EngineLoop.

    A stream is admitted if there are KV blocks and device time for it.
    """

    def __init__(self, config: CloudConfig) -> None:
        section, model = config.engine, load_model(config.model)
        self.spec = model.grid_spec(config.sample_fps, config.max_cells)
        self.engine = Engine(model, _engine_config(section, model, self.spec))
        self._questions = config.standing_questions
        self.engine.check_questions(self._questions)
        self._standing = StandingQuestions()
        self._grids: dict[str, PatchGrid] = {}
        self._utilization = self._initial_utilization(section.max_utilization)

    def _initial_utilization(self, max_utilization: float) -> Utilization:
        """Measure the cost of a stream with a wide picture, before any stream has connected."""
        config, spec, model = self.engine.config, self.spec, self.engine.model
        cost = seconds_per_slot(model, config, spec.fit(1920, 1080), self._questions)
        period = spec.slot_seconds
        horizon = max(HORIZON_S, config.window * period)
        return Utilization(max_utilization, cost / period, horizon, period)

    @property
    def busy(self) -> bool:
        """Whether a step has something to do."""
        return self.engine.busy

    def step(self) -> list[JobResult]:
        """Run one step of the engine, and record how long the device was busy."""
        started = time.monotonic()
        try:
            return self.engine.step()
        finally:
            self._utilization.record_busy(started, time.monotonic())

    def open(self, stream: str, grid: PatchGrid) -> OpenResult:
        """Admit a stream. One that is open keeps its window, unless its grid has changed. Raises
        DeviceBusy or AdmissionRefused; the stream is closed then.
        """
        new = self._grids.get(stream) != grid
        if new:
            self.close(stream)
            self._admit(stream, grid)
        return OpenResult(new, self.engine.needs_anchor(stream))

    def close(self, stream: str) -> None:
        """Close a stream and free its KV blocks. Does nothing for an unknown stream."""
        if self._grids.pop(stream, None) is not None:
            self.engine.close(stream)
            self._forget(stream)

    def prepare(self, stream: str, slot: Slot) -> PreparedJob:
        """Check and tokenise a slot and the standing questions that are due. Thread-safe. Raises
        SlotRefused for a slot that disagrees with itself.
        """
        prepare = self.engine.preparer
        return PreparedJob(prepare.slot(stream, slot), prepare.questions(self._standing.of(stream)))

    def prepare_question(self, question: Question, on_token: OnToken | None) -> QuestionBatch:
        """Check and tokenise a question. Thread-safe. Raises QuestionError or EngineError."""
        batch = self.engine.preparer.questions([question], on_token or ignore_tokens)
        assert batch is not None  # noqa: S101 - it has a question
        return batch

    def submit(self, stream: str, job: PreparedJob) -> int:
        """Submit a slot, with the standing questions that are due. Returns its ticket.

        An anchor that does not fit the window restarts it: the edge's clock may have restarted, or
        the camera's picture may have another size. Raises SlotRefused, or AdmissionRefused if there
        is no memory for the other size; the stream is closed then.
        """
        slot = job.prepared.slot
        try:
            return self.engine.submit_prepared(stream, job.prepared, job.question_batch)
        except SlotRefused:
            if slot.kind is not SlotKind.ANCHOR:
                raise
            self._restart_window(stream, PatchGrid(self.spec, *slot.kept.shape))
            return self.engine.submit_prepared(stream, job.prepared, job.question_batch)

    def ask(self, stream: str, question_batch: QuestionBatch) -> int:
        """Submit a question about a stream's current window. Returns its ticket."""
        return self.engine.submit_question_batch(stream, question_batch)

    def status(self) -> EngineStatus:
        """Memory, queues and work of the engine."""
        return self.engine.status()

    def _admit(self, stream: str, grid: PatchGrid) -> None:
        """Reserve device time and KV blocks. Raises DeviceBusy or AdmissionRefused."""
        self._utilization.admit(stream, time.monotonic())
        try:
            self.engine.open(stream, grid)
        except AdmissionRefused:
            self._utilization.remove(stream)
            raise
        self._grids[stream] = grid
        self._standing.set(stream, self._questions)

    def _restart_window(self, stream: str, grid: PatchGrid) -> None:
        if grid == self._grids[stream]:
            self.engine.reset(stream)
            return
        del self._grids[stream]  # not open until it is admitted again
        self.engine.close(stream)
        try:
            self.engine.open(stream, grid)
        except AdmissionRefused:
            self._forget(stream)
            raise
        self._grids[stream] = grid

    def _forget(self, stream: str) -> None:
        self._utilization.remove(stream)
        self._standing.set(stream, ())


def _engine_config(
    section: EngineSection, model: VisionLanguageModel, spec: GridSpec
) -> EngineConfig:
    """The engine's configuration. `memory_mib` is divided as streams with wide pictures need it."""
    config = EngineConfig(
        window=section.window,
        stride=section.stride,
        eviction=EvictionPolicy(section.eviction),
        refresh=section.refresh,
        query_view=QueryView(section.query_view),
        neighbour_radius=section.neighbour_radius,
        kv_blocks=section.kv_blocks,
    )
    if section.memory_mib is None:
        return config
    return fit_to_memory(section.memory_mib * 2**20, model, config, spec.fit(1920, 1080))
