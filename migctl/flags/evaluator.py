"""Evaluator: a flag set compiled, and what each flag is for a context. No I/O, no clock but what is passed in.

An evaluation never raises: a rule that fails answers reason ERROR, and the code's own default holds. Results are made once for each
variant, and handed out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from migctl.flags.definitions import Flag, FlagSet, Scalar
from migctl.flags.logic import TARGETING_KEY, Compiler, Context

Reason = Literal[
    "STATIC", "DEFAULT", "TARGETING_MATCH", "DISABLED", "STALE", "BRAKED", "KEPT", "OVERRIDE", "ERROR"
]
ErrorCode = Literal["FLAG_NOT_FOUND", "PARSE_ERROR", "TARGETING_KEY_MISSING", "TYPE_MISMATCH", "GENERAL"]


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """What a flag is. variant: None where the code's own default holds; value is None then, and means nothing."""

    key: str
    variant: str | None
    value: object
    reason: Reason
    error_code: ErrorCode | None = None
    details: str | None = None
    metadata: Mapping[str, Scalar] = {}


Evaluate = Callable[[Context], Evaluation]

# Whatever a rule meets in a stranger's context: never more than an error of this one evaluation.
FAILURES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class Compiled:
    """A flag set, ready to answer. Immutable: a change makes another one, and who evaluates sees the one or the other."""

    __slots__ = ("_evaluators", "_needs_key", "flag_set")

    def __init__(self, flag_set: FlagSet) -> None:
        """flag_set: as `definitions.read` gave it."""
        self.flag_set = flag_set
        self._evaluators: dict[str, Evaluate] = {}
        self._needs_key: set[str] = set()
        for key, flag in flag_set.flags.items():
            compiler = Compiler(key, flag_set.evaluators)
            self._evaluators[key] = _compiled(flag, flag_set.metadata, compiler)
            if compiler.needs_key and flag.state == "ENABLED":
                self._needs_key.add(key)

    def evaluate(self, key: str, context: Context) -> Evaluation:
        """context: attributes, with `targetingKey`. Never raises."""
        evaluate = self._evaluators.get(key)
        return evaluate(context) if evaluate is not None else _not_found(key)

    def needs_key(self, key: str) -> bool:
        """Whether this flag can't be decided without a targeting key."""
        return key in self._needs_key


def _not_found(key: str) -> Evaluation:
    return Evaluation(key, None, None, "ERROR", "FLAG_NOT_FOUND", f"there is no flag {key!r}")


def _compiled(flag: Flag, of_set: Mapping[str, Scalar], compiler: Compiler) -> Evaluate:
    metadata = {**of_set, **flag.metadata}

    def result(variant: str | None, reason: Reason) -> Evaluation:
        return Evaluation(
            flag.key, variant, None if variant is None else flag.variants[variant], reason, metadata=metadata
        )

    if flag.state == "DISABLED":
        disabled = result(None, "DISABLED")
        return lambda _: disabled
    if not flag.targeting:
        # A default left to the code is DEFAULT; a variant that everybody has is STATIC.
        static = result(flag.default, "DEFAULT" if flag.default is None else "STATIC")
        return lambda _: static
    rule = compiler.compile(flag.targeting)
    default = result(flag.default, "DEFAULT")
    matches = {variant: result(variant, "TARGETING_MATCH") for variant in flag.variants}

    def failed(error: BaseException) -> Evaluation:
        return Evaluation(
            flag.key, None, None, "ERROR", "GENERAL", f"its rule failed: {type(error).__name__}: {error}"
        )

    def unknown(variant: object) -> Evaluation:
        name = str(variant).lower() if isinstance(variant, bool) else str(variant)
        if name in matches:
            return matches[name]
        return Evaluation(
            flag.key, None, None, "ERROR", "GENERAL", f"its rule answers {name!r}, which is no variant"
        )

    def evaluate(context: Context) -> Evaluation:
        try:
            variant = rule(context)
            if variant is None:
                return default
            return matches[variant] if variant in matches else unknown(variant)
        except FAILURES as error:
            return failed(error)

    if not compiler.needs_flagd:
        return evaluate
    added = {"flagKey": flag.key}
    return lambda context: evaluate(context if "$flagd" in context else {**context, "$flagd": added})


def context_of(
    targeting_key: str | None, attributes: Mapping[str, object], *, flag_key: str, timestamp: int
) -> dict[str, object]:
    """A context with what flagd adds. timestamp: Unix seconds."""
    return {
        **attributes,
        "$flagd": {"flagKey": flag_key, "timestamp": timestamp},
        TARGETING_KEY: targeting_key,
    }
