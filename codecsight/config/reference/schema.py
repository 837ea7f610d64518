"""The sections and keys of a configuration model, read from its JSON schema.

Example: `section_of(SiteConfig).keys[0]` is the key `site`, of type `name`, which is required.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section.

    `default` is None for an optional key without a value, too; `examples` are values for the
    example file. `section` describes the value where that is a mapping with keys of its own, or
    several of them: by name (`child` is `NAME`, such as `example_child`) or in a list (`N`).
    """

    name: str
    type: str
    required: bool
    default: object
    range: str
    meaning: str
    examples: tuple[Any, ...]
    section: "Section | None"
    child: str
    example_child: str

    def path(self, parent: str) -> str:
        """Where `section` is: the dotted path below the path `parent` ("" for the root)."""
        return ".".join(part for part in (parent, self.name, self.child) if part)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with a fixed set of keys. `meaning` is Markdown."""

    title: str
    meaning: str
    keys: tuple[Key, ...]


class _Unsorted(GenerateJsonSchema):
    """Keeps the order of keys in examples."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002
        return value


def section_of(model: type[BaseModel]) -> Section:
    """The section that `model` validates."""
    schema = model.model_json_schema(schema_generator=_Unsorted)
    return _section(schema, schema.get("$defs", {}))


def _section(schema: Schema, definitions: Schema) -> Section:
    required = schema.get("required", ())
    keys = (
        _key(name, value, name in required, definitions)
        for name, value in schema["properties"].items()
    )
    return Section(schema["title"], schema.get("description", ""), tuple(keys))


def _key(name: str, schema: Schema, required: bool, definitions: Schema) -> Key:
    value = _resolved(schema, definitions)
    item, child = _item(value, definitions)
    return Key(
        name=name,
        type=_type(value, definitions),
        required=required,
        default=schema.get("default"),
        range=_range(value),
        meaning=" ".join(schema.get("description", "").split()),
        examples=tuple(schema.get("examples", ())),
        section=_section(item, definitions) if "properties" in item else None,
        child=child,
        example_child=schema.get("example_key", ""),
    )


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """The schema of a value that is not null, with its `$ref` replaced by what it refers to."""
    if "anyOf" in schema:
        (schema,) = (option for option in schema["anyOf"] if option != {"type": "null"})
    if "$ref" in schema:
        return dict(definitions[schema["$ref"].removeprefix("#/$defs/")])
    return schema


def _item(value: Schema, definitions: Schema) -> tuple[Schema, str]:
    """The schema of one entry of a mapping or list, and its place in a path; else `value`, ""."""
    if "patternProperties" in value:
        (entry,) = value["patternProperties"].values()
        return _resolved(entry, definitions), "NAME"
    if "items" in value:
        return _resolved(value["items"], definitions), "N"
    return value, ""


def _type(value: Schema, definitions: Schema) -> str:
    """The type in words, as Markdown; a section is linked."""
    item, child = _item(value, definitions)
    if child:
        kind = "mapping of name to" if child == "NAME" else "list of"
        return f"{kind} {_type(item, definitions)}"
    if "properties" in value:
        return f"[{value['title']}](#{value['title'].lower().replace(' ', '-')})"
    if "enum" in value:
        return " or ".join(f"`{option}`" for option in value["enum"])
    words = {"string": "text", "boolean": "true or false", "object": "mapping"}
    return str(value.get("format") or words.get(value["type"], value["type"]))


def _range(value: Schema) -> str:
    """The limits of a number or of the length of a list, in words; "" without any."""
    low, high = value.get("minimum"), value.get("maximum")
    if low is not None and high is not None:
        return f"{low} to {high}"
    bounds = {
        "above": value.get("exclusiveMinimum"),
        "at least": low,
        "at most": high,
        "at least one": value.get("minItems", value.get("minProperties")) and "entry",
    }
    return ", ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
