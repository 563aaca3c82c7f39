"""How a dead letter is said: what to do about it, what came of a try, and its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migctl.delivery.dead_letters import Tried
    from migctl.journal import DeadLetter
    from migctl.runtime.journals import KeptLetter


def todo(letter: DeadLetter) -> str:
    seq = letter.position.seq
    if letter.state == "retried":
        return "nothing: it is a row now"
    if letter.state == "dismissed":
        return "nothing: it was dismissed; its tombstone stays, and readers get the event from it"
    if letter.code.startswith(("22", "54")):
        return (
            "the database can't hold this value; readers get the event from its tombstone, so nothing is lost. "
            f"Mend the producer, and `migctl deadletter dismiss {seq} --reason WHY`"
        )
    return f"mend what refuses it, then `migctl deadletter retry {seq}`; until then readers get it from its tombstone"


def words(tried: Tried | None) -> str:
    if tried is None:
        return "would be tried"
    match tried.result:
        case "written":
            return "a row now, under its own seq; its tombstone is gone"
        case "repeated":
            return "a row already, from an earlier try; its tombstone is gone"
        case "renewed":
            return f"appended as event {tried.new_id}, seq {tried.new_seq}"
        case "dismissed":
            return "dismissed; its tombstone stays, and readers get the event from it"
        case "refused":
            return f"refused again: {tried.reason}; nothing was changed"
        case "taken":
            return "another row of the table has this id; nothing was changed. --as-new gives it another"
        case "gone":
            return "the target has neither row nor tombstone of it (pruned?); nothing was changed"


def document(of: KeptLetter) -> dict[str, object]:
    from migctl.events import format_time

    letter = of.letter
    return {
        "epoch": letter.position.epoch,
        "seq": letter.position.seq,
        "id": letter.event_id,
        "source_id": of.source_id,
        "event_type": of.event_type,
        "code": letter.code,
        "reason": letter.reason,
        "at": format_time(letter.at),
        "state": letter.state,
        "settled_at": format_time(letter.settled_at) if letter.settled_at else None,
        "new_id": letter.new_id,
        "settled_by": letter.settled_by,
        "why": letter.why,
    }


def outcome(letter: DeadLetter, tried: Tried | None, source_id: str | None) -> dict[str, object]:
    return {
        "epoch": letter.position.epoch,
        "seq": letter.position.seq,
        "id": letter.event_id,
        "source_id": source_id,
        "result": None if tried is None else tried.result,
        "reason": None if tried is None else tried.reason,
        "new_id": None if tried is None else tried.new_id,
        "new_seq": None if tried is None else tried.new_seq,
    }
