"""Models as others see them: what a flow returns, schemas without the names of classes, and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_type_hints

if TYPE_CHECKING:
    from prefect import Flow
    from pydantic import BaseModel


def result_of(flow: Flow[..., Any]) -> type[BaseModel]:
    """Return the model of what a flow returns."""
    returned = get_type_hints(flow.fn)["return"]
    model: type[BaseModel] = next(iter(get_args(returned)), returned)  # it may be a state as well
    return model


def plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of what a model is printed as, as `plain` has it."""
    return plain(model.model_json_schema(mode="serialization"))


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of pydantic's without prose and without the names of classes: definitions in their places."""
    definitions = schema.get("$defs") or schema.get("definitions") or {}
    left_out = {"title", "description", "$defs", "definitions"}

    def placed(node: Any, *, is_schema: bool = True) -> Any:
        if isinstance(node, list):
            return [placed(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            its = definitions[node["$ref"].rpartition("/")[2]]
            return placed(its | {key: value for key, value in node.items() if key != "$ref"})
        kept = node.keys() - (left_out if is_schema else set())
        return {key: placed(node[key], is_schema=not is_schema or key != "properties") for key in kept}

    placed_whole: dict[str, Any] = placed(schema)
    return placed_whole


def example(model: type[BaseModel], **fields: Any) -> Any:
    """Return an instance of a model: what is required holds the least, and the given fields what they are to."""
    schema = plain_schema(model)
    required = {name: _least(schema["properties"][name]) for name in schema.get("required", ())}
    known = {name: required[name] for name in required if name in model.model_fields}
    return model.model_validate(known | fields)


def _least(schema: dict[str, Any]) -> Any:
    if "anyOf" in schema:
        return _least(schema["anyOf"][-1])
    if schema.get("type") == "object":
        return {name: _least(its) for name, its in schema.get("properties", {}).items()}
    texts = {"date-time": "2026-11-20T09:00:00Z"}
    least = {"string": texts.get(schema.get("format", ""), "text"), "integer": 0, "number": 0.0, "boolean": False}
    return least.get(schema["type"], [] if schema["type"] == "array" else None)
