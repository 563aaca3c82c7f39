"""The report of an experiment, put together: the exposure log of this state folder, the witness's minutes, and the document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from migctl import clock
from migctl.config import Settings
from migctl.config.assets import config_file
from migctl.errors import MigctlError, Systemic, Transient, Usage
from migctl.events import format_time
from migctl.experiments import lines, statistics
from migctl.experiments.comparing import compared
from migctl.experiments.document import Experiment, read_experiments
from migctl.experiments.keeping import Keeping
from migctl.experiments.report import Report, reported
from migctl.experiments.users import users_of
from migctl.flags.assignment import Assignments
from migctl.flags.kept import KeptOf, kept_by
from migctl.flags.logic import Context
from migctl.runtime.flagging import desk, file_is_record
from migctl.runtime.flags import EXPERIMENTS_FILE, TRANSPORT
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.state import Kept

# Of a report that names no day, where the experiment names none either.
DAYS = 14


@dataclass(frozen=True, slots=True)
class Found:
    """away: why the record's minutes are not among them; None where they are, or where there is no record."""

    report: Report
    away: MigctlError | None


async def make_report(
    settings: Settings,
    flag: str,
    since: date | None,
    until: date | None,
    notify: Callable[[str], None],
) -> Found:
    """Raises Usage for a flag that is no experiment, days the wrong way round, a log that can't be read, and without SciPy."""
    statistics.library()
    of = experiment_of(flag)
    since, until = _days(of, since, until)
    try:
        users = users_of(_lines(settings, since, until), flag, TRANSPORT.opened, of.min_ratio_p)
    except OSError as error:
        raise Usage(
            f"{settings.state / lines.FOLDER}: {error.strerror or error}", do="run as who runs serve"
        ) from None
    minutes, away, about_transports = list[Minute](), None, flag == TRANSPORT.flag
    if about_transports:
        minutes, away = await _minutes(settings, since, until, notify)
    left_out = sum(not minute.counts for minute in minutes)
    report = reported(
        flag,
        since,
        until,
        of,
        users=users,
        variants=(TRANSPORT.otherwise, TRANSPORT.opened) if about_transports else sorted(users.variants),
        comparisons=compared(minutes, of) if about_transports else [],
        minutes=len(minutes) - left_out,
        left_out=left_out,
    )
    return Found(report, away)


def kept_of(settings: Settings) -> KeptOf:
    """What users of this state folder keep, for a command that only asks. Raises Usage where the experiments can't be read."""
    keeping = Keeping(settings.state, read_experiments(config_file(EXPERIMENTS_FILE)))
    keeping.begin(writing=False)

    def kept(of: Assignments, key: str, context: Context) -> str | None:
        found = kept_by(keeping, of, key, context)
        return found.variant if found is not None else None

    return kept


def kept_counts(settings: Settings, flag: str) -> dict[str, int] | None:
    """Users of this state folder by the variant that they keep; None where the flag is not sticky today. Raises as `kept_of`."""
    keeping = Keeping(settings.state, read_experiments(config_file(EXPERIMENTS_FILE)))
    keeping.begin(writing=False)
    if not keeping.keeps(flag):
        return None
    counts = keeping.counts(flag)
    if flag == TRANSPORT.flag:
        # Who had the opened one is held for the report alone.
        counts = Counter({TRANSPORT.otherwise: counts[TRANSPORT.otherwise]})
    return dict(sorted(counts.items()))


def experiment_of(flag: str) -> Experiment:
    """Raises Usage."""
    path = config_file(EXPERIMENTS_FILE)
    known = read_experiments(path).experiments
    if flag not in known:
        there = f"the experiments there are: {', '.join(known)}" if known else "it names none"
        raise Usage(f"{flag} is no experiment in {path}", do=f"add it below `experiments:`; {there}")
    return known[flag]


def _days(of: Experiment, since: date | None, until: date | None) -> tuple[date, date]:
    today = clock.now().astimezone(UTC).date()
    until = until or min(of.ends or today, today)
    since = since or of.starts or until - timedelta(days=DAYS - 1)
    if since > until:
        raise Usage(f"{since} is after {until}", do="name --since DAY on or before --until DAY")
    return since, until


def _lines(settings: Settings, since: date, until: date) -> Iterator[lines.Line | None]:
    folder = settings.state / lines.FOLDER
    for day in lines.days_of(folder):
        if since <= day <= until:
            yield from lines.read_lines(lines.day_file(folder, day))


async def _minutes(
    settings: Settings, since: date, until: date, notify: Callable[[str], None]
) -> tuple[list[Minute], MigctlError | None]:
    """Of the record, and those that this folder keeps because the record does not have them yet."""
    begin, end = (
        datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (since, until + timedelta(days=1))
    )
    found, away = dict[datetime, Minute](), None
    if not file_is_record(settings):
        try:
            async with desk(settings, notify) as at:
                evidence = at.record.minutes(Minute, since=format_time(begin), before=format_time(end))
                found = {minute.started_at: minute async for minute in evidence}
        except (Transient, Systemic) as error:
            away = error
    kept = Kept(settings.state)
    for minute in kept.first(len(kept)):
        if begin <= minute.started_at < end:
            found.setdefault(minute.started_at, minute)
    return [minute for _, minute in sorted(found.items())], away
