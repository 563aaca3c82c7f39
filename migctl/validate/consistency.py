"""Report: compares captures, with the journal as the truth where there is one, and gives one verdict.

`report` streams: its memory is bounded, and files of any size are compared. Formulas and keys are those of `migctl.report/1`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from migctl.config.files import private_opener
from migctl.errors import Usage
from migctl.validate import inputs as files
from migctl.validate.document import build, with_dual
from migctl.validate.gates import Bounds
from migctl.validate.inputs import Inputs
from migctl.validate.legacy import with_legacy
from migctl.validate.processes import run_all
from migctl.validate.result import Report
from migctl.validate.shard import Job, JournalReader, exports_only, run
from migctl.validate.window import WindowKind

# Below this, starting processes takes longer than the work.
_INLINE_BYTES = 24 << 20
_PROCESSES_MOST = 4
MEMORY_BYTES = 512 << 20


def report(
    folder: Path | None = None,
    *,
    journal: Path | None = None,
    reader: JournalReader | None = None,
    captures: Mapping[str, Path] | None = None,
    tombstones: Path | None = None,
    window: WindowKind = "captures",
    late_after_s: float = 5.0,
    bounds: Bounds | None = None,
    examples: int = 10,
    discrepancies: Path | None = None,
    processes: int | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Report:
    """Compare captures and return the report. Blocks; call it in a thread where an event loop runs.

    folder: where captures were written, with journal.ndjson if there is one. captures: transport to file; it comes
    before what is found there. One of `dual`, the whole subscriber, is compared with the journal alone, and is a column more;
    one of `legacy`, the old socket, by content, and is a part of its own.
    journal: an NDJSON export, or, with a reader, a journal's own file. examples: how many discrepancies of each kind are named.
    discrepancies: a file for all of them, NDJSON. processes: a power of two; by default by size and by the CPUs there are.
    memory_bytes: for all processes together; what is beyond it goes to a temporary folder.
    Raises Usage for input that can't be used.
    """
    bounds, reader, captures = bounds or Bounds(), reader or exports_only(), captures or {}

    def compared(of: Path | None, truth: Path | None, named: Mapping[str, Path], rest: Path | None) -> Report:
        return _compared(
            files.find(of, journal=truth, captures=named, tombstones=stones),
            of,
            reader=reader,
            window=window,
            late_after_s=late_after_s,
            bounds=bounds,
            examples=examples,
            discrepancies=rest,
            processes=processes,
            memory_bytes=memory_bytes,
        )

    stones = tombstones or files.tombstones_of(folder)
    dual = files.dual_of(folder, captures)
    legacy = files.legacy_of(folder, captures)
    pair = {name: path for name, path in captures.items() if name not in (files.DUAL, files.LEGACY)}
    made = compared(folder, journal, pair, discrepancies)
    truth = journal or files.journal_of(folder)
    made = with_legacy(made, legacy, truth, reader, window=window, bounds=bounds)
    if dual is None:
        return made
    if truth is None:
        return msgspec.structs.replace(
            made, remarks=[*made.remarks, "dual: there is no journal, so it is not compared"]
        )
    return with_dual(made, compared(None, truth, {"websocket": dual}, None))


def _compared(
    found: Inputs,
    folder: Path | None,
    *,
    reader: JournalReader,
    window: WindowKind,
    late_after_s: float,
    bounds: Bounds,
    examples: int,
    discrepancies: Path | None,
    processes: int | None,
    memory_bytes: int,
) -> Report:
    covered = files.window_of(found, window)
    total = sum(each.size for each in found.files)
    shards = _power_of_two(processes) if processes else _shards(total)
    excused = [
        (stone.epoch, stone.seq)
        for stone in found.tombstones or ()
        if stone.reason.startswith("duplicate_of")
    ]
    with TemporaryDirectory(prefix="migctl-report-") as scratch, ThreadPoolExecutor(1) as pool:
        digests = pool.submit(_digests, found)
        jobs = [
            Job(
                inputs=found.files,
                window=covered,
                late_after_s=late_after_s,
                examples=examples,
                shard=shard,
                shards=shards,
                memory_bytes=memory_bytes // shards,
                excused=excused,
                discrepancies=None if discrepancies is None else Path(scratch) / f"{shard}.ndjson",
            )
            for shard in range(shards)
        ]
        tally = (
            run(jobs[0], reader.read)
            if shards == 1 and total < _INLINE_BYTES
            else run_all(jobs, reader.shard_module)
        )
        if discrepancies is not None:
            _concatenate(discrepancies, [job.discrepancies for job in jobs if job.discrepancies is not None])
        sums = digests.result()
    return build(
        found,
        tally,
        covered,
        bounds,
        first=files.first_of_journal(found, reader.read),
        late_after_s=late_after_s,
        examples=examples,
        digests=sums,
        losses=files.losses_of(found, folder, covered, reader),
    )


def _digests(found: Inputs) -> dict[Path, str]:
    sums = {each.path: files.digest(each.path, each.size) for each in found.files}
    if found.tombstones_path is not None:
        sums[found.tombstones_path] = files.digest(found.tombstones_path, found.tombstones_size or 0)
    return sums


def _shards(total_bytes: int) -> int:
    if total_bytes < _INLINE_BYTES:
        return 1
    return _power_of_two(min(_PROCESSES_MOST, len(os.sched_getaffinity(0))))


def _power_of_two(count: int) -> int:
    """The largest that is not above `count`, at most 16."""
    return 1 << min(4, max(1, count).bit_length() - 1)


def _concatenate(path: Path, parts: list[Path]) -> None:
    try:
        with open(path, "wb", opener=private_opener) as out:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, out, 1 << 20)
    except OSError as error:
        raise Usage(f"{path}: {error.strerror or error}", do="name a file that can be written") from None
