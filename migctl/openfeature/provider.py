"""Provider: an OpenFeature provider that evaluates in the process, by the snapshot that it holds: no I/O, no other thread.

    from openfeature import api
    from migctl.openfeature import MigctlProvider

    api.set_provider_and_wait(MigctlProvider(folder="/var/lib/shop/flags"))
    api.get_client().get_boolean_value("menu", False, EvaluationContext("ann", {"plan": "pro"}))

With record and Redis away it answers as before, from the disk after a restart (reason STALE until the record was reached once).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from migctl import clock
from migctl.config import Settings, Target, load
from migctl.errors import MigctlError
from migctl.flags.assignment import Assignments
from migctl.flags.exposure import Served
from migctl.flags.service import FlagService
from migctl.flags.standard import OURS, evaluated
from migctl.openfeature.following import Following

Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]
V = TypeVar("V")

_CODES = {
    "FLAG_NOT_FOUND": ErrorCode.FLAG_NOT_FOUND,
    "PARSE_ERROR": ErrorCode.PARSE_ERROR,
    "TARGETING_KEY_MISSING": ErrorCode.TARGETING_KEY_MISSING,
    "TYPE_MISMATCH": ErrorCode.TYPE_MISMATCH,
}


class MigctlProvider(AbstractProvider):
    """Flags of the record that `migctl flags` changes, evaluated in this process.

    folder: where it keeps what it holds, each process in a folder of its own below; None is `openfeature` in the state folder.
    settings: None is what migctl.yaml and the environment say. target: the project that has the record; None is the one that
    SUPABASE_URL and SUPABASE_SECRET_KEY name, and without them the file of `flags.file` is the record.

    Events: CONFIGURATION_CHANGED with the keys of what changed; STALE when the record can't be reached, READY when it can again.
    Raises Usage for settings that can't be used, and `initialize` where the folder can't.
    """

    def __init__(
        self,
        *,
        folder: str | PathLike[str] | None = None,
        settings: Settings | None = None,
        target: Target | None = None,
    ) -> None:
        super().__init__()
        of = settings if settings is not None else load()
        self._settings = of
        self._target = target
        self._folder = Path(folder) if folder is not None else of.state / "openfeature"
        self._following: Following | None = None
        self._service: FlagService | None = None
        self._is_stale = False

    def get_metadata(self) -> Metadata:
        return Metadata(name="migctl")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Return once the disk was read and the record was asked, for no longer than a second. Raises MigctlError."""
        if self._following is not None:
            return
        self._following = Following(self._settings, self._target, self._folder, self._on_change)
        try:
            self._service = self._following.begin()
        except MigctlError:
            self._following = None
            raise

    def shutdown(self) -> None:
        """End the thread; evaluations answer PROVIDER_NOT_READY afterwards."""
        following, self._following, self._service = self._following, None, None
        if following is not None:
            following.end()
        self._is_stale = False

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, evaluation_context, _boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, _string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, _integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, default_value, evaluation_context, _float)

    def resolve_object_details(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        return self._resolve(flag_key, default_value, evaluation_context, _object)

    def _resolve(
        self, key: str, default: V, context: EvaluationContext | None, typed: Callable[[object], V | None]
    ) -> FlagResolutionDetails[V]:
        service = self._service
        if service is None:
            return _failed(default, ErrorCode.PROVIDER_NOT_READY, "the provider is not initialized")
        user = context.targeting_key if context is not None else None
        attributes = context.attributes if context is not None else {}
        timestamp = int(clock.now().timestamp())
        evaluation = evaluated(service.assignments, key, user, attributes, timestamp, service.kept)
        if service.is_keeping and user is not None and evaluation.variant is not None:
            reason = str(evaluation.metadata.get(OURS, evaluation.reason))
            service.served_flag(key, user, attributes, Served(evaluation.variant, reason, 0))
        if evaluation.error_code is not None:
            code = _CODES.get(evaluation.error_code, ErrorCode.GENERAL)
            return _failed(default, code, evaluation.details or evaluation.error_code)
        if evaluation.variant is None:
            return FlagResolutionDetails(
                default, reason=Reason(evaluation.reason), flag_metadata=evaluation.metadata
            )
        value = typed(evaluation.value)
        if value is None:
            kind = type(evaluation.value).__name__
            return _failed(default, ErrorCode.TYPE_MISMATCH, f"{key!r} is of another type: {kind}")
        return FlagResolutionDetails(
            value,
            variant=evaluation.variant,
            reason=Reason(evaluation.reason),
            flag_metadata=evaluation.metadata,
        )

    def _on_change(self, before: Assignments, now: Assignments, away: bool) -> None:
        changed = changed_between(before, now)
        if changed:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))
        if away == self._is_stale:
            return
        self._is_stale = away
        if away:
            message = "the record of flags is away: what was held last holds"
            self.emit_provider_stale(ProviderEventDetails(message=message))
        else:
            self.emit_provider_ready(ProviderEventDetails(message="the record of flags is back"))


def changed_between(before: Assignments, now: Assignments) -> list[str]:
    """The keys of flags that may be something else now, in their order.

    | what changed                       | which flags              |
    |------------------------------------|--------------------------|
    | the definition of a flag           | it                       |
    | a rule that flags share, `$ref`    | every flag               |
    | brakes                             | the one that has brakes  |
    | that the record was reached first  | every flag               |
    """
    old, new = before.flag_set, now.flag_set
    was = old.flags if old is not None else {}
    is_ = new.flags if new is not None else {}
    same_rules = (old.evaluators if old is not None else {}) == (new.evaluators if new is not None else {})
    keys = {key for key in was.keys() | is_.keys() if not same_rules or was.get(key) != is_.get(key)}
    switch = now.switch.flag
    if switch in is_ and before.snapshot.live_brakes(switch) != now.snapshot.live_brakes(switch):
        keys.add(switch)
    if before.is_blind != now.is_blind:
        keys |= is_.keys()
    return sorted(keys)


def _failed(default: V, code: ErrorCode, message: str) -> FlagResolutionDetails[V]:
    return FlagResolutionDetails(default, error_code=code, error_message=message, reason=Reason.ERROR)


# The spelling is the type, as for clients of OFREP: 1 is no float, and 1.0 no integer.
def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _object(value: object) -> Object | None:
    return value if isinstance(value, dict | list) else None
