"""Standard: what a flag is in OpenFeature's words. Pure.

`BRAKED`, `KEPT` and `OVERRIDE` are no reasons that unmodified clients know: they are said as TARGETING_MATCH and STATIC, with the
word of ours in the metadata, `migctl_reason`.

| ours                                                    | said            | migctl_reason |
|---------------------------------------------------------|-----------------|---------------|
| BRAKED                                                  | TARGETING_MATCH | BRAKED        |
| KEPT                                                    | TARGETING_MATCH | KEPT          |
| OVERRIDE                                                | STATIC          | OVERRIDE      |
| any other                                               | the same        |               |
| a rule that asks for a targeting key, and there is none | ERROR, TARGETING_KEY_MISSING |  |
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from migctl.flags.assignment import Assignments
from migctl.flags.evaluator import Evaluation, context_of
from migctl.flags.kept import KeptOf, nothing_kept

_AS_STANDARD: Mapping[str, str] = {
    "BRAKED": "TARGETING_MATCH",
    "KEPT": "TARGETING_MATCH",
    "OVERRIDE": "STATIC",
}
OURS = "migctl_reason"


def evaluated(
    of: Assignments,
    key: str,
    user: str | None,
    attributes: Mapping[str, object],
    timestamp: int,
    kept: KeptOf = nothing_kept,
) -> Evaluation:
    """What a flag is. user: the targeting key. timestamp: Unix seconds, for rules that ask. kept: what is kept. Never raises."""
    if user is None and of.needs_key(key):
        details = f"the rule of {key!r} asks for a targetingKey"
        return Evaluation(key, None, None, "ERROR", "TARGETING_KEY_MISSING", details)
    context = context_of(user, attributes, flag_key=key, timestamp=timestamp)
    found = of.evaluate(key, context, kept(of, key, context))
    reason = _AS_STANDARD.get(found.reason)
    if reason is None:
        return found
    return msgspec.structs.replace(found, reason=reason, metadata={**found.metadata, OURS: found.reason})
