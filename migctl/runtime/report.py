"""Reports that can read a journal's own file, not only an export of it: `validate.report` with a reader.

`python -m migctl.runtime.report` is one process's share of it.
"""

from __future__ import annotations

import sys

from migctl.ingest.losses import lost_before
from migctl.runtime.journals import read_file
from migctl.validate.shard import JournalReader, main

READER = JournalReader(read_file, shard_module="migctl.runtime.report", losses=lost_before)

if __name__ == "__main__":
    sys.exit(main(read_file))
