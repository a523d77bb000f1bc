"""`python -m harness` is the command `isobench`."""

import sys

from harness.cli import main

sys.exit(main())
