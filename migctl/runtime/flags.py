"""What a `serve` does about flags, put together: which store is the record, what the environment overrides, and who it is.

Making it reads the disk and asks nobody.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

from migctl.config import Mode, Settings, Target, flag, from_environment
from migctl.config.assets import config_file
from migctl.flags.assignment import Switch
from migctl.flags.definitions import FlagSet
from migctl.flags.disk import ProcessesFile, SnapshotFile
from migctl.flags.editing import Edit, with_step
from migctl.flags.files import read_edit, read_file
from migctl.flags.holder import Holder
from migctl.flags.record import Record, target_name
from migctl.flags.registration import Registration
from migctl.flags.service import FlagService
from migctl.flags.tiers import FileTier
from migctl.transports.protocol import TransportName

# The flag that decides between the two transports.
TRANSPORT = Switch("transport", "realtime", "websocket")

FLAGS_FILE = "flags/transport.yaml"
SEGMENTS_FILE = "flags/segments.yaml"
EXPERIMENTS_FILE = "flags/experiments.yaml"

# What a file's flags are called, where no target has a name.
FILE_NAME = "file"

_EVERYWHERE = ("0.0.0.0", "::", "")


def flags_target(settings: Settings, target: Target | None) -> Target | None:
    """The project that has the record: that of the mode; in mode websocket one that the environment names with its key."""
    found = target or from_environment(settings)
    return found if found is not None and found.service_role_key else None


def flags_file(settings: Settings) -> Path:
    """The file that is the record where there is no target."""
    return Path(settings.flags.file) if settings.flags.file else config_file(FLAGS_FILE)


def first_flags() -> FlagSet:
    """The flag and the segments with which an empty record begins: of ./configs, else those that came with migctl. Raises Usage."""
    flags = read_file(config_file(FLAGS_FILE))
    return read_edit(config_file(SEGMENTS_FILE), flags)(flags)


def step_edit(percent: float, segments: Mapping[str, float]) -> Edit:
    """Writes a step's shares to the flag, which is made where the record has none yet. Raises Usage."""
    first = first_flags()
    return lambda flag_set: with_step(flag_set, TRANSPORT, percent, segments, first=first)


def record_of(settings: Settings, target: Target) -> Record:
    """The record of this project, for a process that asks it all the time. The caller closes it."""
    timeouts = settings.resilience.request_timeout
    return Record(target, settings.supabase.schema_, target_name(settings, target), timeouts)


def make_flags(
    settings: Settings,
    mode: Mode,
    target: Target | None,
    *,
    override: TransportName | None,
    stack: AsyncExitStack,
    listed: bool = True,
) -> FlagService:
    """target: of the mode. override: the kill switch, as `kill_switch` checked it. stack: closes the connections.

    listed: whether the record lists this process, so that whoever changes a flag waits for it to confirm.

    Raises Usage where what was kept of flags can't be read.
    """
    of = flags_target(settings, target)
    holder = Holder(
        TRANSPORT,
        target_name(settings, of) if of is not None else FILE_NAME,
        SnapshotFile(settings.state),
        override=override,
        when_blind="realtime" if mode == "realtime" else "websocket",
        overrides=flag,
    )
    only = None if mode == "dual" else mode
    # One that is not registered anywhere has the form all the same: it is named in answers.
    process_id, name = str(uuid4()), f"{socket.gethostname()}:{os.getpid()}"
    file = ProcessesFile(settings.state)
    if of is None:
        service = FlagService(
            holder,
            Registration(None, process_id, name, file),
            file=FileTier(flags_file(settings), holder),
            only=only,
        )
    else:
        record = record_of(settings, of)
        service = FlagService(
            holder,
            Registration(record if listed else None, process_id, name, file),
            record=record,
            redis_url=of.redis_url,
            only=only,
        )
    stack.push_async_callback(service.aclose)
    return service


def reached_at(url: str) -> str:
    """Where other machines find this `serve`: who listens everywhere is found by the name of its machine."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rpartition(":")
    return f"{scheme}://{socket.gethostname()}:{port}" if host.strip("[]") in _EVERYWHERE else url
