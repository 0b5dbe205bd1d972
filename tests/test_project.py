"""The project's own files agree with each other: pyproject.toml, environment.yml, the locks, the pre-commit hooks."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
TEST = [Requirement(text) for text in PROJECT["project"]["optional-dependencies"]["test"]]
BUILD = [Requirement(text) for text in PROJECT["dependency-groups"]["build"]]
LOCKS = {
    "requirements-build.lock": BUILD,
    "requirements.lock": RUNTIME,
    "requirements-test.lock": RUNTIME + TEST,
}


def pins(name: str) -> Iterator[tuple[str, str, str]]:
    """The (canonical name, version, marker) of each entry of a lock file; the marker is "" for every platform."""
    for line in (ROOT / name).read_text().splitlines():
        if match := re.match(r"([\w.-]+)==(\S+?)(?: ; (.+?))? \\$", line):
            yield canonicalize_name(match[1]), match[2], match[3] or ""


def pinned_here(name: str) -> dict[str, str]:
    return {package: pin for package, pin, marker in pins(name) if not marker or Marker(marker).evaluate()}


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_satisfies_pyproject(name: str) -> None:
    pinned = pinned_here(name)
    for wanted in LOCKS[name]:
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)], prereleases=True), wanted


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_the_lock_holds_what_its_packages_require(name: str) -> None:
    """Followed through the metadata of the installed packages, where the installed version is the locked one."""
    pinned = pinned_here(name)
    for package, pin in pinned.items():
        for text in requirements_of(package, pin):
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in pinned, f"{package} requires {needed}"


def requirements_of(package: str, pin: str) -> list[str]:
    try:
        return (requires(package) or []) if version(package) == pin else []
    except PackageNotFoundError:
        return []


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_its_hashes(name: str) -> None:
    entries = re.split(r"\n(?=[\w.-]+==)", (ROOT / name).read_text())[1:]
    assert len(entries) == len(list(pins(name)))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_locks_agree_with_each_other() -> None:
    everything = set(pins("requirements-test.lock"))
    assert set(pins("requirements.lock")) <= everything
    shared = {package for package, _, _ in pins("requirements-build.lock")} & {package for package, _, _ in everything}
    assert shared <= {
        package for package, pin, _ in pins("requirements-build.lock") if (package, pin, "") in everything
    }


def test_the_build_lock_covers_the_build_system() -> None:
    pinned = pinned_here("requirements-build.lock")
    for text in PROJECT["build-system"]["requires"]:
        assert Requirement(text).name in pinned


def test_environment_yml_asks_for_the_same() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    texts = [entry for entry in listed if isinstance(entry, str)] + [t for t in from_pip if not t.startswith("-")]
    asked = {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, texts)}
    assert asked.pop("python") == PROJECT["project"]["requires-python"]
    assert asked.pop("pip") == ""
    assert asked == {canonicalize_name(r.name): str(r.specifier) for r in RUNTIME}


def test_every_runtime_dependency_is_used() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "natlab").rglob("*.py"))
    modules = {"protobuf": "google.protobuf"}
    started, unused = {"jupyterlab"}, []
    for name in {r.name for r in RUNTIME} - started:
        if not re.search(rf"^\s*(import|from) {re.escape(modules.get(name, name))}\b", sources, re.MULTILINE):
            unused.append(name)
    assert unused == []


def test_no_registry_is_named() -> None:
    """Where packages come from is the user's configuration; a host name in a lock would override it."""
    hosts = re.compile(r"pythonhosted|pypi\.org|npmjs|registry\.|proxy\.golang|index-url|find-links")
    own = Path(__file__).relative_to(ROOT).as_posix()
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not tracked:
        pytest.skip("not a git checkout")
    for name in set(tracked.split("\0")) - {"", own}:
        path = ROOT / name
        if path.is_file() and (found := hosts.search(path.read_text(errors="replace"))):
            assert (name, found[0]) == (".ci/lock", "index-url"), f"{name} names {found[0]}"


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]


def test_the_measured_punches_are_whole() -> None:
    """What data/README.md says of the 81 rows."""
    lines = (ROOT / "data/measured/go-go-tcp.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    nats = {(row[f"{side}_mapping"], row[f"{side}_filtering"]) for row in rows for side in ("listener", "dialer")}
    assert (len(rows), len(nats), len({tuple(row.values())[:4] for row in rows})) == (81, 9, 81)
    counts = {attempt: sum(row["attempt"] == attempt for row in rows) for attempt in ("reversal", "1", "3", "")}
    assert counts == {"reversal": 9, "1": 34, "3": 14, "": 24}
    assert all((row["punched"] == "true") == bool(row["attempt"]) == bool(row["seconds"]) for row in rows)
