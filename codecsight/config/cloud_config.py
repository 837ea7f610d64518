"""cloud.yaml: the sites that may connect, the model, the engine's settings and the questions.

Example:

    listen: 0.0.0.0:7443
    tls: {ca: ca.pem, cert: cloud.pem, key: cloud.key}
    sites: [yard-7]
    questions: ["Is there a person?"]
"""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from codecsight.config.shared_sections import (
    Address,
    Name,
    PositiveSeconds,
    StrictModel,
    TlsConfig,
    needs_tls,
)
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question, QuestionKind

CertificateName = Annotated[
    str, Field(pattern=r"^\S{1,253}$", json_schema_extra={"format": "name in a certificate"})
]


class QuestionConfig(StrictModel, title="question"):
    """A standing question, asked of every stream each time a stride of slots is complete.

    A plain string instead of a mapping is a question too, and its wording gives the kind: "Is
    there ..." is a `yes-no` question, "How many ..." a `count`; options after `|` make a `choice`,
    a JSON schema after `|` makes a `json` question; anything else is `text`.
    """

    text: str = Field(examples=["How many people are there?"])
    """The question."""
    kind: QuestionKind = Field(examples=["count"])
    """Type of the answer. The first three are scored among fixed options, each with a probability;
    `text` and `json` are decoded token by token."""
    choices: tuple[str, ...] = Field(default=(), examples=[["open", "closed"]])
    """Options of a `choice` question, at least two."""
    max_count: int = Field(default=9, ge=1, le=99)
    """Largest answer of a `count` question."""
    json_schema: dict[str, Any] | None = Field(
        default=None,
        alias="schema",
        examples=[{"type": "object", "properties": {"people": {"type": "integer"}}}],
    )
    """JSON schema that the answer of a `json` question follows. It describes an object."""

    @model_validator(mode="before")
    @classmethod
    def _parse_string(cls, value: object) -> object:
        return _as_mapping(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _valid_question(self) -> Self:
        try:
            self.question()
        except CodecSightError as error:
            raise ValueError(str(error)) from error
        if problem := _schema_problem(self.json_schema):
            raise ValueError(f"schema: {problem}")
        return self

    def question(self) -> Question:
        """Convert to the engine's question. Raises CodecSightError if it is invalid."""
        schema = json.dumps(self.json_schema) if self.json_schema is not None else ""
        return Question(self.text, self.kind, self.choices, self.max_count, schema)


class EngineSection(StrictModel, title="engine"):
    """Settings of the engine in every worker.

    Memory is limited either by `kv_blocks` or by `memory_mib`.
    """

    window: int = Field(default=8, ge=1, le=512)
    """Slots that a stream's window holds: the past that an answer can rest on."""
    stride: int = Field(default=2, ge=1)
    """Slots evicted from a full window at once. At most `window`."""
    eviction: Literal["age", "superseded"] = "age"
    """What a full window gives up: its oldest slots whole (`age`), or of these only the cells of
    which a newer slot holds a token (`superseded`)."""
    refresh: str = Field(
        default="none",
        pattern=r"^(none|all|anchors|(first|drift):\d+)$",
        json_schema_extra={"format": "none, all, anchors, first:N or drift:N"},
    )
    """Slots that are prefilled again after the window has moved: `none`, `all`, `anchors` (those
    with every cell), `first:N` (the N oldest) or `drift:N` (the N that lost the largest share of
    their context)."""
    query_view: Literal["latest-features", "rerotated", "last-slot"] = "rerotated"
    """Where a question finds the cells that the newest slot leaves out: in copies of their newest
    keys, re-rotated to the newest slot (`rerotated`), in their latest features, prefilled again
    (`latest-features`), or nowhere (`last-slot`)."""
    neighbour_radius: int = Field(default=1, ge=0, le=16)
    """Distance in cells up to which the neighbours of a changed cell are encoded with it. Applies
    to models without a vision KV cache, which are all but Qwen3-VL."""
    kv_blocks: int = Field(default=4096, ge=1)
    """KV blocks of 16 tokens that all streams of a worker share. Not together with `memory_mib`."""
    memory_mib: int | None = Field(default=None, ge=1, examples=[16384])
    """Everything that a worker holds for its streams, in MiB. The weights and the temporary tensors
    of a step come on top. Not together with `kv_blocks`."""
    max_utilization: float = Field(default=0.9, gt=0)
    """Share of the device's time that streams may take. A stream that would raise it further is
    rejected."""

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


class SiteLimits(StrictModel, title="limits"):
    """What each site, and each caller, may take at most. Besides, half of the KV memory is kept in
    equal parts for the listed sites, so that no site can take everything."""

    streams: int = Field(default=256, ge=1, le=100_000, examples=[64])
    """Streams of one site."""
    questions: int = Field(default=32, ge=1, le=10_000, examples=[32])
    """Questions of one caller that may wait at the same time."""


class CloudConfig(StrictModel, title="cloud.yaml"):
    """A cloud node: one gateway and the GPU workers, which run one model."""

    listen: Address = Field(default="127.0.0.1:7443", examples=["0.0.0.0:7443"])
    """Address that the gateway listens on."""
    tls: TlsConfig | None = None
    """Mutual TLS with sites and clients. Required unless `listen` is on loopback."""
    sites: tuple[Name, ...] = Field(min_length=1, examples=[["yard-7"]])
    """Names of the sites that may connect. A site's certificate is issued for its name."""
    operators: tuple[CertificateName, ...] = Field(default=(), examples=[["alice"]])
    """Names in the certificates of clients that may view all streams and the status of the cloud.
    A certificate that names neither a site nor an operator may do nothing. Without `tls`, on
    loopback, every client is an operator."""
    model: str | None = Field(default=None, examples=["Qwen/Qwen3-VL-2B-Instruct"])
    """Folder or hub id of the checkpoint. Without it, the built-in checkpoint is used, which knows
    only procedural cameras."""
    workers: int = Field(default=1, ge=1, le=64)
    """Number of workers. Each loads the model and has a GPU of its own, if the node has GPUs."""
    sample_fps: float = Field(default=2.0, gt=0, le=30)
    """Frames per second that sites sample from each camera."""
    max_cells: int = Field(default=48, ge=1, le=4096, examples=[240])
    """Largest number of cells (visual tokens) that a picture is cut into. Pictures are scaled to
    fit."""
    heartbeat_s: PositiveSeconds = 5.0
    """Seconds between two heartbeats of a site."""
    limits: SiteLimits = SiteLimits()
    """Limits of each site and caller."""
    engine: EngineSection = EngineSection()
    """Settings of the engine."""
    questions: tuple[QuestionConfig, ...] = Field(
        default=(),
        examples=[
            [
                "Is there a person?",
                "What is the gate like? | open, closed",
                {"text": "How many people are there?", "kind": "count", "max_count": 20},
                {"text": "What is the weather?", "kind": "choice", "choices": ["rain", "sun"]},
                {
                    "text": "Who is there?",
                    "kind": "json",
                    "schema": {"type": "object", "properties": {"people": {"type": "integer"}}},
                },
            ]
        ],
    )
    """Standing questions, each as a mapping or as plain text."""

    @model_validator(mode="after")
    def _tls_off_loopback(self) -> Self:
        if self.tls is None and needs_tls(self.listen):
            raise ValueError("'listen' needs 'tls' (ca, cert, key) unless it is on loopback")
        return self

    @model_validator(mode="after")
    def _one_role_per_name(self) -> Self:
        if both := sorted(set(self.sites) & set(self.operators)):
            raise ValueError(f"{', '.join(both)}: both in 'sites' and in 'operators'")
        return self

    def read_secrets(self) -> None:
        """Check that every referenced key file can be read. Raises ConfigError."""
        if self.tls is not None:
            self.tls.check("tls")

    @property
    def standing_questions(self) -> tuple[Question, ...]:
        """The standing questions as the engine takes them."""
        return tuple(item.question() for item in self.questions)


def _schema_problem(schema: dict[str, Any] | None) -> str:
    """Why no answer can follow the JSON schema, such as an unknown type; empty if one can."""
    if schema is None:
        return ""
    from llguidance import LLMatcher  # an edge reads no questions

    return str(LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(json.dumps(schema))))


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
