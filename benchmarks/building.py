"""What the benchmarks compare with: built or installed once, and kept in the environment that runs them.

Each thing is kept under the digest of its sources, so that a changed source is built anew, and removing `.venv` removes
all. What this computer has no tools for is `NotHere`, and its rows are skipped with that reason.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from pathlib import Path

HERE = Path(__file__).parent
KEPT = Path(sys.prefix) / "natlab-benchmarks"


class NotHere(Exception):
    """A contestant that this computer cannot run; the text says what is missing."""


def kept(name: str, sources: Iterable[Path], build: Callable[[Path], None]) -> Path:
    """The directory that `build` once filled from these sources. A half-built one never gets the final name."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    place = KEPT / f"{name}-{digest.hexdigest()[:16]}"
    if not place.exists():
        print(f"building {name} ...", file=sys.stderr, flush=True)
        making = place.with_name(f"{place.name}.{os.getpid()}")
        making.mkdir(parents=True)
        try:
            build(making)
            making.rename(place)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return place


def python_with_rivals() -> Path:
    """A Python of its own with SimPy and py-libp2p, so that their dependencies stay out of natlab's."""
    lock = HERE / "requirements.lock"

    def build(target: Path) -> None:
        venv.create(target, with_pip=True)
        pip = [str(target / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--require-hashes", "-r", str(lock))

    return kept("python", [lock], build) / "bin/python"


def run(*command: str, cwd: Path = HERE, **environment: str) -> None:
    """Runs a build step.

    Raises:
        NotHere: it failed; its last words.
    """
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise NotHere(f"{' '.join(command[:3])} failed: {done.stdout.strip()[-300:]}")
