"""`python -m migctl`: the same as the console script."""

import sys

from migctl.cli.main import main

sys.exit(main())
