"""Operations: every route of `serve` as data, for its OpenAPI document: what it takes, and each answer that it may give.

Who may ask is not said here: `access.rules` knows. What is answered is typed by the structs that the routes answer with, where
there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from migctl.delivery.dead_letters import Tried
from migctl.flags.documents import Change, Flags, History, OneFlag, OneSegment, Segments
from migctl.flags.hearing import Confirmation
from migctl.flags.snapshot import Snapshot
from migctl.serve_client.answers import Failure, Wrong
from migctl.server.routes.ctl import (
    ChangeSetting,
    ChangeThrottle,
    SettingChanged,
    SettingsView,
    ThrottleChanged,
)
from migctl.server.routes.dead_letters import Accept, Accepted, Dismiss, Retry
from migctl.server.routes.flags_api import MAX_LIMIT, PutFlag, PutSegment
from migctl.server.routes.marker import Marker, Placed
from migctl.server.routes.ofrep import BulkEvaluationFailure, EvaluationFailure, EvaluationSuccess
from migctl.server.routes.rollout_api import Drills, Order
from migctl.server.routes.tail import MOST_EVENTS, TailLine
from migctl.server.routes.tokens import RevokeToken, TokensRevoked, TokensView
from migctl.status import ServeStatus
from migctl.status.clients import ClientsStatus
from migctl.status.document import Readiness
from migctl.status.feeding import SourcesStatus
from migctl.status.flags import FlagsStatus
from migctl.status.story import EventStory
from migctl.status.subscribers import SubscribersStatus
from migctl.subscriber.gateway.serve_client import Assignment

Schema = Mapping[str, object]
Type = Literal["application/json", "text/plain", "application/x-ndjson", "text/javascript"]


class Refusal(msgspec.Struct, frozen=True):
    """Why a request was refused: each thing that is wrong with it. code is stable, and made for machines."""

    errors: list[Wrong]


@dataclass(frozen=True, slots=True)
class Answer:
    """shape: a struct, or a schema; None for no body. headers: names with what they are."""

    description: str
    shape: type | Schema | None = Refusal
    type: Type = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Schema
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """body: what is sent, by its type; None for nothing."""

    method: Literal["get", "post", "put", "delete"]
    path: str
    summary: str
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[Type, type | Schema] | None = None
    limited: bool = False


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
OBJECT: Schema = {"type": "object"}
LINE = r"^[^\x00-\x1f\x7f]+$"


def _either(*names: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}


# What `decode_event` takes.
EVENT: Schema = {
    "type": "object",
    "required": ["event_type", "data"],
    "properties": {
        "id": {"type": ["string", "null"], "format": "uuid", "description": "none: UUIDv7"},
        "event_type": {
            "type": "string",
            "minLength": 1,
            "maxLength": 512,
            "pattern": r"^(?!sys\.)[^\x00-\x1f\x7f]+$",
        },
        "timestamp": {
            "type": ["string", "number", "null"],
            "format": "date-time",
            "minimum": 631_152_000,
            "description": "none: now; a number is Unix time, from seconds to nanoseconds",
        },
        "source": {"type": ["string", "null"], "minLength": 1, "maxLength": 512, "pattern": LINE},
        "data": {"type": "object"},
    },
}
TAKEN: Schema = {
    "type": "object",
    "required": ["accepted", "duplicates", "epoch", "first_seq", "last_seq"],
    "properties": {
        "accepted": NUMBER,
        "duplicates": NUMBER,
        "epoch": TEXT,
        "first_seq": {"type": ["integer", "null"]},
        "last_seq": {"type": ["integer", "null"]},
        "items": {"type": "array", "items": OBJECT},
    },
}
PARTLY: Schema = {
    "allOf": [
        TAKEN,
        {
            "type": "object",
            "required": ["rejected", "errors"],
            "properties": {"rejected": NUMBER, "errors": {"type": "array", "items": OBJECT}},
        },
    ]
}
PAGE: Schema = {
    "type": "object",
    "required": ["epoch", "head", "tail", "events"],
    "properties": {
        "epoch": TEXT,
        "head": NUMBER,
        "tail": NUMBER,
        "events": {"type": "array", "items": OBJECT},
    },
}
CONTEXT: Schema = {
    "type": "object",
    "properties": {
        "context": {
            "type": "object",
            "properties": {"targetingKey": {"type": "string"}},
            "description": "what is known of the user; targetingKey is who it is",
        }
    },
}
BULK: Schema = {
    "type": "object",
    "required": ["flags", "metadata"],
    "properties": {
        "flags": {"type": "array", "items": _either("EvaluationSuccess", "EvaluationFailure")},
        "metadata": {"type": "object"},
    },
}
AWAY = Answer("the record of flags is away", headers={"Retry-After": "seconds"})
NOT_HERE = Answer("there is none")
NO_ROLLOUT = Answer("mode websocket has no rollout")
TAG = {"ETag": "of what stands, for If-Match"}
KEY = Parameter("key", "path", "of the flag", TEXT, required=True)
NAME = Parameter("name", "path", "the flag's key, or the segment's name", TEXT, required=True)
IF_MATCH = Parameter("If-Match", "header", "the ETag that you saw; `*` for whatever stands", TEXT)
IF_NONE_MATCH = Parameter("If-None-Match", "header", "`*` for what is new", TEXT)
IF_NONE_MATCH_CODE = Parameter("If-None-Match", "header", "the ETag of an earlier answer", TEXT)
CODE = Answer("an ES module", TEXT, "text/javascript", headers={"ETag": "of this release"})
UNCHANGED = Answer("as before", None)
LIMIT = Parameter(
    "limit",
    "query",
    "so many, the newest first",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20},
)
DELETING = (
    NAME,
    IF_MATCH,
    Parameter("target", "query", "whose flags you mean, as GET /api/flags says it", TEXT, required=True),
    Parameter(
        "reason",
        "query",
        "for the history, in one line",
        {"type": "string", "minLength": 1, "maxLength": 1000},
        required=True,
    ),
    Parameter("lift", "query", "ids of brakes that a raise may end", {"type": "array", "items": TEXT}),
    Parameter("dry_run", "query", "say what it would do", {"type": "boolean", "default": False}),
)
WRITING: Mapping[int, Answer] = {
    400: Answer("no JSON, or a parameter that is none"),
    409: Answer(
        "another target is meant, a brake is in force that `lift` does not name, or a file is the record"
    ),
    412: Answer("something else stands than you saw"),
    422: Answer("it can't be used: `field` says where it is wrong"),
    428: Answer("If-Match or If-None-Match is missing"),
    503: AWAY,
}
PUTTING: Mapping[int, Answer] = {
    200: Answer("defined anew", Change, headers=TAG),
    201: Answer("defined", Change, headers=TAG),
    **WRITING,
    413: Answer("too large"),
}
COMMANDED: Mapping[int, Answer] = {
    400: Answer("no JSON"),
    404: Answer("mode websocket has no table"),
    409: Answer("refused", Failure),
    422: Answer("it can't be meant", _either("Refusal", "Failure")),
    503: Answer("the target is away", Failure),
}  # fmt: skip


STEERED: Mapping[int, Answer] = {
    422: Answer("it can't be that", _either("Refusal", "Failure")),
    503: Answer("the audit can't be written, so nothing was changed", Failure),
}


def _managed(root: str, one: type, every: type, put: type) -> list[Operation]:
    path, word = f"{root}/{{name}}", root.rpartition("/")[2][:-1]
    deleted = {200: Answer("deleted", Change), **WRITING, 404: NOT_HERE}
    history = {200: Answer("what was done", History), 400: Answer("no such limit"), 409: Answer("a file is the record"),
               503: AWAY}  # fmt: skip
    return [
        Operation("get", root, f"every {word} that this process holds", {200: Answer("all", every)}),
        Operation("get", path, f"one {word}", {200: Answer("it", one, headers=TAG), 404: NOT_HERE}, (NAME,)),
        Operation(
            "put",
            path,
            f"define a {word}",
            PUTTING,
            (NAME, IF_MATCH, IF_NONE_MATCH),
            {"application/json": put},
        ),
        Operation("delete", path, f"delete a {word}", deleted, DELETING),
        Operation("get", f"{path}/history", f"who changed a {word}, when and why", history, (NAME, LIMIT)),
    ]


OPERATIONS: tuple[Operation, ...] = (
    Operation("get", "/", "what is here; the dashboard for who takes HTML", {200: Answer("the routes", OBJECT)}),
    Operation(
        "get", "/dashboard/{name}", "a file of the dashboard",
        {200: Answer("it", None), 304: Answer("as before", None), 404: NOT_HERE},
        (Parameter("name", "path", "of the file", TEXT, required=True),),
    ),
    Operation(
        "get", "/dashboard/vendor/{name}", "a file of the dashboard that is another's",
        {200: Answer("it", None), 304: Answer("as before", None), 404: NOT_HERE},
        (Parameter("name", "path", "of the file", TEXT, required=True),),
    ),
    Operation("get", "/openapi.json", "this document", {200: Answer("it", OBJECT)}),
    Operation("get", "/client.js", "the subscriber for pages", {200: CODE, 304: UNCHANGED}, (IF_NONE_MATCH_CODE,)),
    Operation("get", "/healthz", "whether the process lives", {200: Answer("it does", OBJECT)}),
    Operation(
        "get", "/readyz", "whether events are taken and delivered",
        {200: Answer("they are", Readiness), 503: Answer("they are not", Readiness)},
    ),
    Operation(
        "post", "/events", "take events; they are durable when this is answered",
        {201: Answer("durable", TAKEN), 207: Answer("with `partial=1`: durable but for `errors`", PARTLY),
         400: Answer("the body can't be read"), 409: Answer("an id is there with another body"),
         413: Answer("too large"), 422: Answer("an item is wrong; none was stored"),
         503: Answer("no events are taken now", headers={"Retry-After": "seconds"})},
        (Parameter("detail", "query", "`1`: say the seq of each", TEXT),
         Parameter("partial", "query", "`1`: store the others where some are wrong, and answer 207", TEXT),
         Parameter("Idempotency-Key", "header", "a retry with it adds nothing",
                   {"type": "string", "minLength": 1, "maxLength": 255})),
        {"application/json": {"anyOf": [EVENT, {"type": "array", "maxItems": 10_000, "items": EVENT}]}},
        limited=True,
    ),
    Operation(
        "get", "/events", "events after a position; without one from the first that is held",
        {200: Answer("events in order", PAGE), 400: Answer("no position"), 410: Answer("the position is gone", OBJECT)},
        (Parameter("epoch", "query", "with `after`", TEXT), Parameter("after", "query", "with `epoch`", NUMBER),
         Parameter("limit", "query", "at most 10,000", NUMBER)),
    ),
    Operation(
        "get", "/ws", "a WebSocket of live events, as the old service sent them; with v=2 it resumes",
        {101: Answer("it is one", None), 400: Answer("no upgrade was asked for"), 410: Answer("there is none, or no more")},
    ),
    Operation("get", "/api/status", "what it does and how far it is", {200: Answer("status", ServeStatus)}),
    Operation("get", "/api/status/schema.json", "the schema of the status", {200: Answer("JSON Schema", OBJECT)}),
    Operation("get", "/metrics", "for Prometheus", {200: Answer("text format", TEXT, "text/plain")}),
    Operation(
        "get", "/api/transport", "the transport of a user, and a token for it",
        {200: Answer("assigned", Assignment), 400: Answer("no user"),
         503: Answer("no token can be had", headers={"Retry-After": "seconds"})},
        (Parameter("user", "query", "the targeting key", {"type": "string", "minLength": 1, "maxLength": 255}, required=True),),
    ),
    Operation(
        "post", "/ofrep/v1/evaluate/flags/{key}", "what a flag is for a context",
        {200: Answer("evaluated", EvaluationSuccess),
         400: Answer("it could not be", EvaluationFailure),
         404: Answer("no such flag", EvaluationFailure),
         413: Answer("too large", EvaluationFailure)},
        (KEY,), {"application/json": CONTEXT},
    ),
    Operation(
        "post", "/ofrep/v1/evaluate/flags", "what every flag is for a context",
        {200: Answer("evaluated", BULK, headers={"ETag": "of this answer"}), 304: Answer("as before", None),
         400: Answer("no context", BulkEvaluationFailure), 413: Answer("too large", BulkEvaluationFailure)},
        (Parameter("If-None-Match", "header", "the ETag of an earlier answer", TEXT),), {"application/json": CONTEXT},
    ),
    Operation(
        "get", "/api/rollout", "where the rollout stands, and what it waits for",
        {200: Answer("as `migctl rollout status`", OBJECT), 404: NO_ROLLOUT, 409: Answer("a file is the record", Failure),
         422: Answer("a stage's file is wrong", Failure), 503: Answer("the target is away", Failure)},
    ),
    Operation(
        "post", "/api/rollout", "move the rollout: set, pause, resume, promote, abort; or, with dry_run, say what that would do",
        {200: Answer("as the command with `--output json`", OBJECT), 400: Answer("no JSON"), 404: NO_ROLLOUT,
         409: Answer("refused", Failure),
         422: Answer("it can't be meant", _either("Refusal", "Failure")), 503: Answer("the record is away", Failure)},
        body={"application/json": Order},
    ),
    Operation(
        "get", "/api/tail", "the newest events as they come, for who watches: a line at most four times a second, until it is left",
        {200: Answer("each line", TailLine, "application/x-ndjson"), 400: Answer("no position, or no number"),
         503: Answer("too many pages are open", headers={"Retry-After": "seconds"})},
        (Parameter("epoch", "query", "of the position that is known", TEXT), Parameter("after", "query", "its seq", NUMBER),
         Parameter("limit", "query", f"events in a line, at most {MOST_EVENTS}", NUMBER),
         Parameter("match", "query", "only those with this text in seq, id, type, source or data", TEXT)),
    ),
    Operation(
        "get", "/api/story", "what became of one event",
        {200: Answer("where it has been, and when", EventStory), 400: Answer("neither id nor position"),
         503: Answer("the journal is closed")},
        (Parameter("id", "query", "as its producer wrote it, or canonical", TEXT),
         Parameter("epoch", "query", "instead of the id", TEXT), Parameter("seq", "query", "in that epoch", NUMBER)),
    ),
    Operation(
        "get", "/api/drills", "drills that were run in this state folder, the newest last",
        {200: Answer("each", Drills), 404: NO_ROLLOUT, 422: Answer("their file can't be read", Failure)},
    ),
    *_managed("/api/flags", OneFlag, Flags, PutFlag),
    *_managed("/api/segments", OneSegment, Segments, PutSegment),
    Operation("get", "/admin/subscribers", "who is attached, and how far behind", {200: Answer("each", SubscribersStatus)}),
    Operation("get", "/admin/sources", "who feeds it, since when, and how much", {200: Answer("each", SourcesStatus)}),
    Operation("get", "/admin/clients", "every subscriber that is here, or was", {200: Answer("each", ClientsStatus)}),
    Operation("get", "/admin/flags", "what this process holds of flags", {200: Answer("status", FlagsStatus)}),
    Operation(
        "post", "/admin/flags/hear", "hand it a snapshot with brakes",
        {200: Answer("in force", Confirmation), 400: Answer("no JSON"), 409: Answer("for another target"),
         422: Answer("no snapshot")},
        body={"application/json": Snapshot},
    ),
    Operation(
        "post", "/admin/marker", "place a marker in the journal",
        {200: Answer("it was there", Placed), 201: Answer("placed", Placed), 409: Answer("the id is another event's"),
         422: Answer("no marker"), 503: Answer("no events are taken now")},
        body={"application/json": Marker},
    ),
    Operation("get", "/admin/settings", "what may change while it runs", {200: Answer("each, with its value", SettingsView)}),
    Operation(
        "post", "/admin/settings", "set one until it restarts, or take that back",
        {200: Answer("in force", SettingChanged), **STEERED}, body={"application/json": ChangeSetting},
    ),
    Operation(
        "post", "/admin/throttle", "hold the relay's writing, or lift that",
        {200: Answer("done", ThrottleChanged), **STEERED, 409: Answer("mode websocket has no relay", Failure)},
        body={"application/json": ChangeThrottle},
    ),
    Operation("get", "/admin/tokens", "who has a token", {200: Answer("each, without its text", TokensView)}),
    Operation(
        "post", "/admin/tokens/revoke", "take the tokens of a name back, at once",
        {200: Answer("done", TokensRevoked), **STEERED, 409: Answer("it can't be kept, so nothing was revoked", Failure)},
        body={"application/json": RevokeToken},
    ),
    Operation(
        "post", "/admin/dead-letters/retry", "try a dead letter again",
        {200: Answer("tried", Tried), **COMMANDED}, body={"application/json": Retry},
    ),
    Operation(
        "post", "/admin/dead-letters/dismiss", "say of a dead letter that it will never be a row",
        {200: Answer("its tombstone stays", Tried), **STEERED, 409: Answer("it is none, or settled otherwise", Failure)},
        body={"application/json": Dismiss},
    ),
    Operation(
        "post", "/admin/dead-letters/accept", "take whatever the table refuses, for so long",
        {200: Answer("accepted", Accepted), **COMMANDED}, body={"application/json": Accept},
    ),
)  # fmt: skip
