"""Known: what a command of `migctl rollout` knows before it moves anything, and what became of what it did."""

from __future__ import annotations

from dataclasses import dataclass

from migctl.errors import MigctlError, Transient
from migctl.exits import Exit
from migctl.flags.authoring import Basis, Written
from migctl.flags.definitions import FlagSet
from migctl.flags.disk import Process
from migctl.flags.record import Rollout
from migctl.flags.shares import Shares, shares_of
from migctl.flags.snapshot import Brake, Snapshot, effective, flag_sets, naming, to_confirm
from migctl.rollout.walk import State
from migctl.runtime.flags import TRANSPORT
from migctl.runtime.handing import Handed
from migctl.runtime.probing import Probed


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known. basis: of the record, None where it was not reached, and `away` says why. tier: where `snapshot` is from.

    rollout, state: of the record; unreadable: why its state can't be read. probed: what processes answered. own: brakes of commands
    here that nobody confirmed yet.
    """

    snapshot: Snapshot
    tier: str
    basis: Basis | None = None
    away: MigctlError | None = None
    rollout: Rollout | None = None
    state: State | None = None
    known: tuple[Process, ...] = ()
    probed: tuple[Probed, ...] = ()
    own: tuple[Brake, ...] = ()
    unreadable: MigctlError | None = None

    @property
    def flag_set(self) -> FlagSet:
        if self.basis is not None:
            return self.basis.flag_set
        found = flag_sets(self.snapshot)
        return found[0] if found else FlagSet()

    @property
    def disabled(self) -> bool:
        flag = self.flag_set.flags.get(TRANSPORT.flag)
        return flag is not None and flag.state == "DISABLED"

    @property
    def written(self) -> Shares | None:
        """As the flag set says; nothing is opened before the first. None where it says it in words of its own."""
        flag = self.flag_set.flags.get(TRANSPORT.flag)
        if flag is None or flag.state == "DISABLED":
            return Shares(TRANSPORT.opened, TRANSPORT.otherwise)
        return shares_of(flag, TRANSPORT.opened, TRANSPORT.otherwise)

    @property
    def live(self) -> list[Brake]:
        return self.snapshot.live_brakes(TRANSPORT.flag)

    @property
    def brakes(self) -> list[Brake]:
        """Those that whoever raises a share has to be shown."""
        return to_confirm(self.live, self.written)

    @property
    def effective(self) -> Shares | None:
        """What is left of it under the brakes."""
        written = self.written
        return None if written is None else effective(naming(written, self.live, self.flag_set), self.live)

    @property
    def all_effective(self) -> list[Shares]:
        """What is in force at each place that answered; the record's alone, where it did."""
        mine = self.effective
        known = self.basis is not None or self.snapshot.rows
        found = [mine] if mine is not None and known else []
        if self.basis is None:
            found += [shares for one in self.probed if (shares := one.shares) is not None]
        return found


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a change. brake, or row: of those that were made. state: as it was moved to; unmoved: why it was not."""

    handed: Handed | None = None
    brake: Brake | None = None
    written: Written | None = None
    state: State | None = None
    unmoved: str | None = None


def require(standing: Standing) -> Basis:
    """What the record said. Raises why it did not: a share rises only by the record."""
    if standing.basis is None:
        assert standing.away is not None
        away = standing.away
        kind = type(away) if away.exit_code == Exit.UNREACHABLE else Transient
        raise kind(f"the record can't be reached, and only there a share rises: {away.what}", do=away.do)
    return standing.basis
