"""``python -m wedsync_ops``: the same as the command ``wedsync-ops``."""

import sys

from wedsync_ops.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
