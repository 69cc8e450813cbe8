"""Holds what is said to and by a Gitea against the official API descriptions (Swagger 2.0), where they are at hand.

They are looked for in `../shared/gitea/api` beside the repository; without them there are no checkers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec

from tests.fakes.gitea.api import PREFIX
from tests.fakes.gitea.dialect import Dialect
from tests.fakes.gitea.record import Exchange
from tests.fakes.gitea.server import OnExchange

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "gitea" / "api"
Schema = Mapping[str, Any]

# Parameters of the path that may hold slashes, whatever the description says: Gitea routes them as `*`.
DEEP = {"filepath", "branch", "head"}
# Described as one file only; of a folder Gitea answers a list of them.
FILE_OR_FOLDER = "/repos/{owner}/{repo}/contents/{filepath}"
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True)
class Operation:
    """One operation of a description: `path` is its template."""

    method: str
    path: str
    spec: Schema
    pattern: re.Pattern[str]

    @property
    def rank(self) -> tuple[int, int]:
        """The most literal template wins."""
        return self.path.count("{"), -len(self.path)


@dataclass(frozen=True)
class Checker:
    """One description; called with an exchange it gives the problems it sees, each one sentence."""

    name: str
    spec: Schema

    def __call__(self, exchange: Exchange) -> list[str]:
        """Checks the request, and the answer if it came from a Gitea of this version."""
        operation = self.operation(exchange.method, exchange.path)
        if operation is None:
            return [f"{self.name}: there is no {exchange.method} {exchange.path}"]
        found = list(self.request(operation, exchange))
        if self.suits(exchange.dialect):
            found += self.response(operation, exchange)
        return [f"{self.name}: {exchange.method} {exchange.path}: {problem}" for problem in found]

    def suits(self, dialect: Dialect) -> bool:
        """Whether this describes that server: the same minor version of Gitea, or Forgejo."""
        version = str(self.spec["info"]["version"])
        if "+gitea" in version or dialect.forgejo:
            return "+gitea" in version and dialect.forgejo
        return version.split(".")[:2] == dialect.version.split(".")[:2]

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation that answers this, None when there is none."""
        inside = path.removeprefix(PREFIX)
        found = [item for item in self._operations if item.method == method and item.pattern.fullmatch(inside)]
        return min(found, key=lambda item: item.rank, default=None)

    def request(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        """The names and values of the query, and the body: fields that are not described are refused."""
        parameters = operation.spec.get("parameters", [])
        query = {item["name"]: item for item in parameters if item["in"] == "query"}
        for name, value in exchange.query.items():
            if name not in query and name != "sudo":
                yield f"there is no query {name!r}"
            elif name in query:
                yield from _query_problems(name, query[name], value)
        bodies = [item for item in parameters if item["in"] == "body"]
        if bodies and exchange.body is not None:
            yield from self.problems(bodies[0]["schema"], exchange.body, "body", strict=True)
        elif bodies and bodies[0].get("required"):
            yield "a body is required"
        elif exchange.body is not None and not exchange.content_type.startswith("multipart/"):
            yield "there is no body in this operation"

    def response(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        """The types of the fields that are described. Refusals are described poorly and are not checked."""
        status = exchange.status or 0
        if status // 100 != 2:
            return
        described = operation.spec["responses"].get(str(status))
        if described is None:
            yield f"the status {status} is not described"
            return
        schema = self._resolve(described).get("schema")
        if schema and isinstance(exchange.answer, list) and operation.path == FILE_OR_FOLDER:
            schema = {"type": "array", "items": schema}
        if schema and not isinstance(exchange.answer, bytes):
            yield from self.problems(schema, exchange.answer, "answer", strict=False)

    def problems(self, schema: Schema, value: Any, where: str, *, strict: bool) -> Iterator[str]:
        """What is wrong with a value; null is right everywhere, as Go reads and writes it so."""
        schema = self._resolve(schema)
        kind = schema.get("type")
        if value is None or kind is None:
            return
        typed: Any = value
        if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
            yield f"{where} is {value!r:.80}, not of type {kind}"
        elif kind == "array":
            for number, item in enumerate(typed):
                yield from self.problems(schema.get("items", {}), item, f"{where}[{number}]", strict=strict)
        elif kind == "object":
            yield from self._object_problems(schema, typed, where, strict=strict)
        elif strict and "enum" in schema and value not in schema["enum"]:
            yield f"{where} is {value!r}, not one of {schema['enum']}"
        elif schema.get("format") == "date-time" and not _is_time(typed):
            yield f"{where} is {value!r}, no time"

    def _object_problems(self, schema: Schema, value: Mapping[str, Any], where: str, *, strict: bool) -> Iterator[str]:
        properties, more = schema.get("properties", {}), schema.get("additionalProperties")
        if strict:
            yield from (f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            if name in properties:
                yield from self.problems(properties[name], item, f"{where}.{name}", strict=strict)
            elif isinstance(more, Mapping):
                yield from self.problems(more, item, f"{where}.{name}", strict=strict)
            elif strict and properties:
                yield f"{where}.{name} is no field of it"

    def _resolve(self, schema: Schema) -> Schema:
        while reference := schema.get("$ref"):
            target: Any = self.spec
            for step in str(reference).removeprefix("#/").split("/"):
                target = target[step]
            schema = target
        return schema

    @cached_property
    def _operations(self) -> Sequence[Operation]:
        return [
            Operation(method.upper(), path, operation, _pattern(path))
            for path, operations in self.spec["paths"].items()
            for method, operation in operations.items()
            if method != "parameters"
        ]


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", path)
    out = [re.escape(pieces[0])]
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        out += [".+" if name in DEEP else "[^/]+", re.escape(text)]
    return re.compile("".join(out))


def _query_problems(name: str, parameter: Schema, value: str) -> Iterator[str]:
    if parameter.get("type") == "integer" and not value.lstrip("-").isdigit():
        yield f"the query {name}={value!r} is no number"
    if parameter.get("type") == "boolean" and value not in {"true", "false"}:
        yield f"the query {name}={value!r} is neither true nor false"
    if "enum" in parameter and value not in parameter["enum"]:
        yield f"the query {name}={value!r} is not one of {parameter['enum']}"
    if parameter.get("format") == "date-time" and not _is_time(value):
        yield f"the query {name}={value!r} is no time"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


@cache
def load_checkers(folder: Path = FOLDER) -> list[Checker]:
    """One checker for each description there is; none when the folder is missing."""
    files = sorted(folder.glob("swagger-*.json")) if folder.is_dir() else []
    return [Checker(file.stem.removeprefix("swagger-"), msgspec.json.decode(file.read_bytes())) for file in files]


def every(checkers: Iterable[Checker]) -> OnExchange:
    """All of these as one hook for `FakeGitea(on_exchange=…)`: requests must be right for every version."""
    known = list(checkers)
    return lambda exchange: [problem for checker in known for problem in checker(exchange)]
