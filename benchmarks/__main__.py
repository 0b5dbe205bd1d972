"""natlab's speed, measured: one table.

    python -m benchmarks                   everything
    python -m benchmarks packets punch     some of it; the names are those of the files in this folder

Rows appear as they are measured, and the whole table at the end. `README.md` says what the rows mean.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys

from benchmarks import table

GROUPS = ("packets", "hops", "punch", "hosts", "loopback")


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure natlab beside others; print one table.")
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; all by default")
    chosen = parser.parse_args().groups or GROUPS
    if unknown := set(chosen) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    rows = []
    for group in chosen:
        for row in importlib.import_module(f"benchmarks.{group}").rows():
            rows.append(row)
            print("  ".join(filter(None, row.cells())), file=sys.stderr, flush=True)
    print(f"\nPython {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    print(table.text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
