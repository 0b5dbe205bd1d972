"""Set natlab up and run it: one file, the standard library only, every platform.

    python3 start.py            make .venv, install, open JupyterLab on the first notebook
    python3 start.py test       the same set-up with what tests need, then format, lint, types, tests and notebooks
    python3 start.py demo       a hole punch in the terminal: its tables, without a browser
    python3 start.py bench      measure natlab's speed beside others; what they are is built the first time

How the set-up works: the lock files pin every package with its hash, and pip refuses anything else. The three steps
(build tools, locked packages, natlab itself in editable form) can be repeated at no cost, so an interrupted install
is resumed by running the same command again. A stamp written last, the digest of all that the set-up read, says that
nothing is left to do.

This file must parse on the old Pythons that it turns away: no annotations, no f-strings.
"""

from __future__ import print_function

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "natlab needs Python 3.11 or newer, and this is Python %d.%d.\n"
        "Install a newer one (python.org, your package manager, or conda: see environment.yml),\n"
        "then run this file with it, for instance:  python3.13 start.py" % sys.version_info[:2]
    )

import argparse
import hashlib
import importlib.util
import os
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
BUILD_LOCK = HERE / "requirements-build.lock"
LOCKS = {"lab": HERE / "requirements.lock", "test": HERE / "requirements-test.lock"}
NOTEBOOK = "notebooks/00-start-here.ipynb"


class SetupError(Exception):
    """The set-up cannot go on; the text says what to do."""


def main(arguments=None):
    options = parse(arguments)
    verb = {"lab": lab, "test": test, "demo": demo, "bench": bench}[options.verb]
    try:
        set_up("test" if options.verb == "test" else "lab")
        return verb(options)
    except SetupError as problem:
        print("\n%s" % problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on.", file=sys.stderr)
        return 130


def parse(arguments):
    parser = argparse.ArgumentParser(prog="start.py", description="Set natlab up in .venv, then run it.")
    verbs = parser.add_subparsers(dest="verb", metavar="verb")
    lab_parser = verbs.add_parser("lab", help="open JupyterLab on the first notebook (what no verb at all does)")
    test_parser = verbs.add_parser("test", help="run every check: format, lint, types, tests, notebooks")
    demo_parser = verbs.add_parser("demo", help="print a hole punch and its tables, without a browser")
    demo_parser.add_argument("--seed", type=int, default=7, help="another seed gives other ports and keys (default 7)")
    bench_parser = verbs.add_parser("bench", help="measure natlab's speed beside others, as one table")
    bench_parser.add_argument("groups", nargs="*", help="some of it only: see benchmarks/README.md")
    for each in (parser, lab_parser):
        each.add_argument("--no-browser", action="store_true", default=argparse.SUPPRESS, help="only print the address")
    test_parser.add_argument("--all", action="store_true", help="add the long forms of the tests")
    parser.set_defaults(verb="lab", no_browser=False)
    return parser.parse_args(arguments)


# The verbs


def lab(options):
    """JupyterLab on the first notebook: loopback only, with its token, without asking the internet for news."""
    command = ["-m", "jupyterlab", "--ip=127.0.0.1", "--ServerApp.root_dir=%s" % HERE]
    command += ["--LabApp.default_url=/lab/tree/%s" % NOTEBOOK]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if options.no_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container's only user; still loopback and token
    return in_venv(*command)


def demo(options):
    """The first notebook's hole punch, as text."""
    return in_venv("-m", "natlab", "demo", "--seed", str(options.seed))


def bench(options):
    """One table of ratios; takes ten minutes or so."""
    return in_venv("-m", "benchmarks", *options.groups)


def test(options):
    """Every check in turn, cheapest first; the first that fails ends the run."""
    checks = {
        "format": ["-m", "ruff", "format", "--check"],
        "lint": ["-m", "ruff", "check"],
        "types": ["-m", "mypy"],
        "tests": ["-m", "pytest"] + (["-m", "long or not long"] if options.all else []),
    }
    report = []
    for name, command in checks.items():
        print("== %s: python %s" % (name, " ".join(command)), flush=True)
        began = time.monotonic()
        status = in_venv(*command)
        report.append("%-6s  %-6s  %6.1f s" % (name, "FAILED" if status else "passed", time.monotonic() - began))
        if status:
            break
    report += ["%-6s  not run" % name for name in list(checks)[len(report) :]]
    print("\n".join(["== summary"] + report), flush=True)
    return status


# The set-up


def set_up(kind):
    """Bring .venv to what the lock of this kind says. Does nothing when the stamp says that it is there."""
    stamp = VENV / ("natlab-%s.stamp" % kind)
    wanted = digest(kind)
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    print("Setting natlab up in %s (the first time takes a minute or two) ..." % VENV, flush=True)
    make_venv()
    pip("--require-hashes", "-r", str(BUILD_LOCK))
    pip("--require-hashes", "--no-build-isolation", "-r", str(LOCKS[kind]))
    pip("--no-deps", "--no-build-isolation", "--editable", str(HERE))
    stamp.write_text(wanted)


def digest(kind):
    """What the set-up depends on: the locks, the project's metadata, and where the checkout lies."""
    text = hashlib.sha256(str(HERE).encode())
    for path in (BUILD_LOCK, LOCKS[kind], HERE / "pyproject.toml"):
        text.update(path.read_bytes())
    return text.hexdigest()


def make_venv():
    """Make .venv, or make it anew if an interruption or a removed Python left it without a working pip."""
    if PYTHON.exists() and in_venv("-m", "pip", "--version", stdout=subprocess.DEVNULL) == 0:
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise SetupError(
                "This Python has no '%s' module, which makes the private environment natlab installs into.\n"
                "On Debian or Ubuntu:  sudo apt install python%d.%d-venv\n"
                "Elsewhere, use a Python from python.org or conda (see environment.yml)."
                % ((module,) + sys.version_info[:2])
            )
    if run([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        raise SetupError("Python could not make the environment %s; the lines above say why." % VENV)


def pip(*arguments):
    """One step of the installation.

    Raises:
        SetupError: pip failed. What it has downloaded and installed stays.
    """
    if in_venv("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments):
        raise SetupError(
            "The installation did not finish; pip's lines above say why (often the network).\n"
            "Run the same command again: it goes on from what is already there."
        )


def in_venv(*arguments, **options):
    """Run .venv's Python in the checkout; return its exit status."""
    return run([str(PYTHON)] + list(arguments), cwd=str(HERE), **options)


def run(command, **options):
    """Run a command to its end. Ctrl-C reaches it as well, and what to do then is its own affair: JupyterLab asks."""
    process = subprocess.Popen(command, **options)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    sys.exit(main())
