"""Prints the table row -> test -> result: `python -m tests.inventory [--list] [ROW ...]`."""

import sys

from tests.inventory.table import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
