"""cloud.yaml: the sites that may connect, the model, the engine's settings and the questions.

Example:

    listen: 0.0.0.0:7443
    tls: {ca: ca.pem, cert: cloud.pem, key: cloud.key}
    sites: [yard-7]
    questions: ["Is there a person?"]
"""

import json
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from codecsight.config.shared_sections import (
    Address,
    Name,
    PositiveSeconds,
    StrictModel,
    TlsConfig,
    is_loopback,
)
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question, QuestionKind


class QuestionConfig(StrictModel):
    """A standing question, asked of every stream each time its window has moved.

    A plain string in the file is parsed by `Question.parse`. `max_count` is the largest answer of a
    `count` question; `schema` is the JSON schema of a `json` question.
    """

    text: str
    kind: QuestionKind
    choices: tuple[str, ...] = ()
    max_count: int = Field(default=9, ge=1, le=99)
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")

    @model_validator(mode="after")
    def _valid_question(self) -> Self:
        try:
            self.question()
        except CodecSightError as error:
            raise ValueError(str(error)) from error
        return self

    def question(self) -> Question:
        """Convert to the engine's question. Raises CodecSightError if it is invalid."""
        schema = json.dumps(self.json_schema) if self.json_schema is not None else ""
        return Question(self.text, self.kind, self.choices, self.max_count, schema)


class EngineSection(StrictModel):
    """Settings of the engine, as EngineConfig names them.

    `window` and `stride` are in slots. Memory is given either in KV blocks of 16 tokens, or with
    `memory_mib` as everything a worker holds for its streams (weights and the scratch memory of a
    step come on top). A stream that would raise the device's busy time above the share
    `max_utilization` is rejected. `neighbour_radius` applies to models without a vision KV cache
    (all but Qwen3-VL).
    """

    window: int = Field(default=8, ge=1, le=512)
    stride: int = Field(default=2, ge=1)
    eviction: Literal["age", "superseded"] = "age"
    refresh: str = Field(default="none", pattern=r"^(none|all|anchors|(first|drift):\d+)$")
    query_view: Literal["latest-features", "rerotated", "last-slot"] = "rerotated"
    neighbour_radius: int = Field(default=1, ge=0, le=16)
    kv_blocks: int = Field(default=4096, ge=1)
    memory_mib: int | None = Field(default=None, ge=1)
    max_utilization: float = Field(default=0.9, gt=0)

    @model_validator(mode="after")
    def _stride_within_window(self) -> Self:
        if self.stride > self.window:
            raise ValueError("'stride' can't be larger than 'window'")
        return self

    @model_validator(mode="after")
    def _one_memory_limit(self) -> Self:
        if self.memory_mib is not None and "kv_blocks" in self.model_fields_set:
            raise ValueError("set either 'memory_mib' or 'kv_blocks', not both")
        return self


class CloudConfig(StrictModel):
    """A cloud node: one gateway and `workers` GPU workers that run one model.

    `listen` is the gateway's address, HOST:PORT. `sites` lists the sites that may connect. `model`
    is a checkpoint folder or hub id (None: the built-in checkpoint). Sites sample `sample_fps`
    frames per second and cut each into at most `max_cells` cells. `heartbeat_s` is the interval of
    the sites' heartbeats in seconds.
    """

    listen: Address = "127.0.0.1:7443"
    tls: TlsConfig | None = None
    sites: tuple[Name, ...] = Field(min_length=1)
    model: str | None = None
    workers: int = Field(default=1, ge=1, le=64)
    sample_fps: float = Field(default=2.0, gt=0, le=30)
    max_cells: int = Field(default=48, ge=1, le=4096)
    heartbeat_s: PositiveSeconds = 5.0
    engine: EngineSection = EngineSection()
    questions: tuple[QuestionConfig, ...] = ()

    @field_validator("questions", mode="before")
    @classmethod
    def _parse_strings(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [_as_mapping(item) if isinstance(item, str) else item for item in value]

    @model_validator(mode="after")
    def _tls_off_loopback(self) -> Self:
        if self.tls is None and not is_loopback(self.listen):
            raise ValueError("'listen' needs 'tls' (ca, cert, key) unless it is on loopback")
        return self

    @property
    def standing_questions(self) -> tuple[Question, ...]:
        """The standing questions as the engine takes them."""
        return tuple(item.question() for item in self.questions)


def _as_mapping(text: str) -> dict[str, object]:
    """The fields of QuestionConfig for a question given as one string."""
    try:
        question = Question.parse(text)
    except CodecSightError as error:
        raise ValueError(str(error)) from error
    schema = json.loads(question.schema) if question.schema else None
    return {
        "text": question.text,
        "kind": question.kind.value,
        "choices": question.choices,
        "schema": schema,
    }
