"""Run the command line with ``python -m riskml``."""

import sys

from riskml.cli import main

sys.exit(main())
