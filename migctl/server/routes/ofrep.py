"""OFREP 0.3.0: what a flag is for a context, one by key or all at once, for the OpenFeature clients of any language.

Answers are from memory and never wait for a store, in the words of `flags.standard`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from aiohttp import web

from migctl import clock
from migctl.events.jsontext import depth_of, dumps, loads
from migctl.flags.assignment import Assignments
from migctl.flags.definitions import Scalar
from migctl.flags.evaluator import Evaluation
from migctl.flags.exposure import Served
from migctl.flags.kept import KeptOf, nothing_kept
from migctl.flags.logic import TARGETING_KEY
from migctl.flags.standard import OURS
from migctl.flags.standard import evaluated as in_standard_words
from migctl.server.access.bodies import BadBody, body_of
from migctl.server.answers import answer

MAX_BODY_BYTES = 1 << 20
MAX_DEPTH = 100

ErrorCode = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"]

_ROOT = "/ofrep/v1/evaluate/flags"
_CODES: Mapping[str, ErrorCode] = {
    "FLAG_NOT_FOUND": "FLAG_NOT_FOUND",
    "PARSE_ERROR": "PARSE_ERROR",
    "TARGETING_KEY_MISSING": "TARGETING_KEY_MISSING",
}


class EvaluationSuccess(msgspec.Struct, frozen=True, kw_only=True):
    """What a flag is. value: left out where the code's own default holds; variant is empty then."""

    key: str
    value: object = msgspec.UNSET
    reason: str
    variant: str
    metadata: dict[str, Scalar]


class EvaluationFailure(msgspec.Struct, frozen=True, rename="camel"):
    """Why a flag could not be evaluated."""

    key: str
    error_code: ErrorCode
    error_details: str


class BulkEvaluation(msgspec.Struct, frozen=True):
    """Every flag, in the order of their keys. metadata: of the flag set, with its number `n`."""

    flags: list[EvaluationSuccess | EvaluationFailure]
    metadata: dict[str, Scalar]


class BulkEvaluationFailure(msgspec.Struct, frozen=True, rename="camel"):
    """Why none could be."""

    error_code: ErrorCode
    error_details: str


class BadContext(ValueError):
    """status: 413 where it is too large, else 400."""

    def __init__(self, status: int, code: ErrorCode, details: str) -> None:
        super().__init__(details)
        self.status = status
        self.code = code


Serve = Callable[[str, str, Mapping[str, object], Served], None]


def ofrep_routes(
    assignments: Callable[[], Assignments],
    served: Serve = lambda _flag, _user, _context, _answer: None,
    kept: KeptOf = nothing_kept,
) -> list[web.RouteDef]:
    """assignments: what holds now. served: called with each flag that a user was handed, and what it is. kept: what users keep."""

    def note(context: Mapping[str, object], n: int, *found: EvaluationSuccess | EvaluationFailure) -> None:
        user = context.get(TARGETING_KEY)
        for one in found if isinstance(user, str) else ():
            if isinstance(one, EvaluationSuccess) and one.variant:
                reason = str(one.metadata.get(OURS, one.reason))
                served(one.key, str(user), context, Served(one.variant, reason, n))

    async def one(request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        try:
            context = await _context_of(request)
        except BadContext as error:
            return answer(error.status, EvaluationFailure(key, error.code, str(error)))
        of = assignments()
        evaluation = evaluated(of, key, context, int(clock.now().timestamp()), kept)
        note(context, of.snapshot.n, evaluation)
        if isinstance(evaluation, EvaluationFailure):
            return answer(404 if evaluation.error_code == "FLAG_NOT_FOUND" else 400, evaluation)
        return answer(200, evaluation, as_is=True)

    async def every(request: web.Request) -> web.StreamResponse:
        try:
            context = await _context_of(request)
        except BadContext as error:
            return answer(error.status, BulkEvaluationFailure(error.code, str(error)))
        of = assignments()
        bulk = evaluated_all(of, context, int(clock.now().timestamp()), kept)
        note(context, of.snapshot.n, *bulk.flags)
        # Of what is answered, so that whatever could change it (a rule, a brake, the clock that a rule asks) changes the tag.
        tag = f'"{hashlib.sha256(dumps(bulk)).hexdigest()[:32]}"'
        if is_known(tag, request.headers.getall("If-None-Match", [])):
            return web.Response(status=304, headers={"ETag": tag, "Cache-Control": "no-store"})
        return answer(200, bulk, {"ETag": tag}, as_is=True)

    return [web.post(f"{_ROOT}/{{key}}", one), web.post(_ROOT, every)]


async def _context_of(request: web.Request) -> dict[str, object]:
    """Raises BadContext."""
    try:
        body = await body_of(request, MAX_BODY_BYTES)
    except BadBody as error:
        if error.status != 413:
            raise
        raise BadContext(413, "INVALID_CONTEXT", error.reason) from None
    return context_in(body)


def context_in(body: bytes) -> dict[str, object]:
    """The context of a request; empty where it has none. Raises BadContext."""
    if len(body) > MAX_BODY_BYTES:
        raise BadContext(
            413, "INVALID_CONTEXT", f"the request has {len(body)} bytes; at most {MAX_BODY_BYTES} are taken"
        )
    if depth_of(body) > MAX_DEPTH:
        raise BadContext(400, "PARSE_ERROR", f"the request is nested deeper than {MAX_DEPTH}")
    try:
        parsed = loads(body)
    except ValueError as error:
        raise BadContext(400, "PARSE_ERROR", f"the request is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise BadContext(400, "PARSE_ERROR", 'the request is no JSON object: send {"context": {...}}')
    context = parsed.get("context", {})
    if not isinstance(context, dict):
        raise BadContext(400, "INVALID_CONTEXT", "the context is no JSON object")
    if not isinstance(context.get(TARGETING_KEY, ""), str):
        raise BadContext(400, "INVALID_CONTEXT", f"{TARGETING_KEY} is no text")
    return context


def evaluated(
    of: Assignments, key: str, context: Mapping[str, object], timestamp: int, kept: KeptOf = nothing_kept
) -> EvaluationSuccess | EvaluationFailure:
    """What a flag is. timestamp: Unix seconds, for rules that ask."""
    user = context.get(TARGETING_KEY)
    evaluation = in_standard_words(of, key, user if isinstance(user, str) else None, context, timestamp, kept)
    if evaluation.error_code is not None:
        return EvaluationFailure(
            key, _CODES.get(evaluation.error_code, "GENERAL"), evaluation.details or evaluation.error_code
        )
    return _success(evaluation)


def evaluated_all(
    of: Assignments, context: Mapping[str, object], timestamp: int, kept: KeptOf = nothing_kept
) -> BulkEvaluation:
    """What every flag is."""
    flag_set = of.flag_set
    keys = sorted(flag_set.flags) if flag_set is not None else []
    metadata: dict[str, Scalar] = {**(flag_set.metadata if flag_set is not None else {}), "n": of.snapshot.n}
    return BulkEvaluation([evaluated(of, key, context, timestamp, kept) for key in keys], metadata)


def is_known(tag: str, given: list[str]) -> bool:
    """Whether one of the tags of `If-None-Match` is this. Some clients leave the quotes out."""
    texts = [text.strip().removeprefix("W/").strip('"') for line in given for text in line.split(",")]
    return tag.strip('"') in texts


def _success(evaluation: Evaluation) -> EvaluationSuccess:
    return EvaluationSuccess(
        key=evaluation.key,
        value=msgspec.UNSET if evaluation.variant is None else evaluation.value,
        reason=evaluation.reason,
        variant=evaluation.variant or "",
        metadata=dict(evaluation.metadata),
    )
