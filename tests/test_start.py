"""start.py: turns old Pythons away, explains what is missing, resumes, and has nothing to do when all is in place."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = (ROOT / "start.py").read_text()
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """start.py as a module of its own, setting up in an empty directory."""
    spec = importlib.util.spec_from_file_location("natlab_start", ROOT / "start.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv" / module.PYTHON.relative_to(ROOT / ".venv"))
    return module


@pytest.fixture
def calls(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands start.py would run, in order. Making the environment leaves a Python there, and all else works."""
    made: list[list[str]] = []

    def call(command: list[str], **_: object) -> int:
        made.append(command)
        if "venv" in command:
            start.PYTHON.parent.mkdir(parents=True, exist_ok=True)
            start.PYTHON.touch()
        return 0

    monkeypatch.setattr(start, "run", call)
    return made


def failing(on: str, calls: list[list[str]]) -> Callable[..., int]:
    def call(command: list[str], **_: object) -> int:
        calls.append(command)
        return 1 if on in command else 0

    return call


@pytest.mark.parametrize("words", [["--no-browser"], ["lab", "--no-browser"], ["--no-browser", "lab"]])
def test_a_browser_is_not_opened_if_unwanted(start: ModuleType, words: list[str]) -> None:
    assert (start.parse(words).verb, start.parse(words).no_browser) == ("lab", True)
    assert start.parse(["lab"]).no_browser is start.parse([]).no_browser is False


def test_the_version_it_asks_for_is_the_projects() -> None:
    asked = re.search(r"sys\.version_info < \((\d+), (\d+)\)", SOURCE)
    assert asked
    assert TOML["project"]["requires-python"] == f">={asked[1]}.{asked[2]}"


def test_it_parses_on_old_pythons() -> None:
    """Nothing that Python 2.7 would stumble over before it could say which Python is needed."""
    assert SOURCE.isascii()
    assert "from __future__ import print_function" in SOURCE
    for node in ast.walk(ast.parse(SOURCE)):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr | ast.Match | ast.Nonlocal)
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Raise) or getattr(node, "cause", None) is None
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None and not node.args.kwonlyargs
            assert all(argument.annotation is None for argument in node.args.args)
        if isinstance(node, ast.Call):
            assert sum(isinstance(argument, ast.Starred) for argument in node.args) <= 1
        if isinstance(node, ast.List | ast.Tuple | ast.Dict):
            assert not any(isinstance(child, ast.Starred) for child in ast.iter_child_nodes(node))


def test_an_old_python_is_told_what_to_do() -> None:
    head = SOURCE[: SOURCE.index("import argparse")].replace("sys.version_info", "(3, 8, 1)")
    result = subprocess.run([sys.executable, "-c", head], capture_output=True, text=True)
    assert result.returncode == 1
    assert "needs Python 3.11 or newer, and this is Python 3.8" in result.stderr
    assert "python3.13 start.py" in result.stderr


def test_it_imports_the_standard_library_only() -> None:
    for node in ast.walk(ast.parse(SOURCE)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names)


def test_help_lists_the_verbs() -> None:
    result = subprocess.run([sys.executable, str(ROOT / "start.py"), "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert all(re.search(rf"^ +{verb} +\w", result.stdout, re.MULTILINE) for verb in ("lab", "test", "demo"))


def test_the_first_time_installs_from_the_locks_in_order(start: ModuleType, calls: list[list[str]]) -> None:
    assert start.main(["demo"]) == 0
    steps = [" ".join(command) for command in calls]
    expected = [
        "-m venv --clear",
        "requirements-build.lock",
        "requirements.lock",
        "--editable",
        "-m natlab demo --seed 7",
    ]
    assert len(steps) == len(expected)
    assert all(part in step for part, step in zip(expected, steps, strict=True))
    assert all("--require-hashes" in step for step in steps if ".lock" in step)


def test_the_second_time_only_runs_the_verb(start: ModuleType, calls: list[list[str]]) -> None:
    start.main(["demo"])
    del calls[:]
    start.main(["demo"])
    assert calls == [[str(start.PYTHON), "-m", "natlab", "demo", "--seed", "7"]]


def test_the_demo_takes_a_seed(start: ModuleType, calls: list[list[str]]) -> None:
    start.main(["demo", "--seed", "8"])
    assert calls[-1][-2:] == ["--seed", "8"]


def test_tests_get_their_own_lock(start: ModuleType, calls: list[list[str]]) -> None:
    start.main(["demo"])
    del calls[:]
    assert start.main(["test"]) == 0
    assert any("requirements-test.lock" in command[-1] for command in calls)


def test_a_changed_lock_installs_again(
    start: ModuleType, calls: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start.main(["demo"])
    changed = tmp_path / "requirements.lock"
    changed.write_text("another==1")
    monkeypatch.setitem(start.LOCKS, "lab", changed)
    del calls[:]
    start.main(["demo"])
    assert any(str(changed) in command for command in calls)
    assert not any("venv" in command for command in calls)


def test_an_interrupted_install_is_resumed(
    start: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = start.run
    start.make_venv()
    monkeypatch.setattr(start, "run", failing("--editable", calls))
    assert start.main(["demo"]) == 1
    assert "Run the same command again" in capsys.readouterr().err
    monkeypatch.setattr(start, "run", whole)
    del calls[:]
    assert start.main(["demo"]) == 0
    assert not any("venv" in command for command in calls), "what was there is kept"
    assert any("--editable" in command for command in calls)


def test_an_environment_without_pip_is_made_anew(
    start: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    start.make_venv()
    monkeypatch.setattr(start, "run", failing("--version", calls))
    start.make_venv()
    assert calls[-1][1:4] == ["-m", "venv", "--clear"]


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_or_pip_is_explained(
    start: ModuleType, module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    assert start.main(["demo"]) == 1
    told = capsys.readouterr().err
    assert f"'{module}'" in told
    assert f"apt install python3.{sys.version_info[1]}-venv" in told


def test_the_first_failing_check_ends_the_run_with_a_summary(
    start: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start.main(["demo"])
    start.set_up("test")
    monkeypatch.setattr(start, "run", failing("mypy", calls))
    assert start.main(["test"]) == 1
    summary = capsys.readouterr().out.split("== summary\n")[1].split("\n")
    assert [line.split()[:2] for line in summary if line] == [
        ["format", "passed"],
        ["lint", "passed"],
        ["types", "FAILED"],
        ["tests", "not"],
    ]


def test_all_adds_the_long_forms(start: ModuleType, calls: list[list[str]]) -> None:
    start.main(["test"])
    short = calls[-1]
    start.main(["test", "--all"])
    assert calls[-1] == [*short, "-m", "long or not long"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to a process")
def test_ctrl_c_is_for_the_command_that_runs(start: ModuleType) -> None:
    """Cutting JupyterLab off in the middle of its own Ctrl-C would leave its kernels behind."""
    child = "import os, signal, time; time.sleep(0.3); os.kill(os.getppid(), signal.SIGINT); time.sleep(0.3)"
    assert start.run([sys.executable, "-c", f"{child}; raise SystemExit(7)"]) == 7


def test_the_lab_opens_the_first_notebook_on_loopback_with_its_token(start: ModuleType, calls: list[list[str]]) -> None:
    start.main([])
    command = calls[-1]
    assert "--ip=127.0.0.1" in command
    assert f"--LabApp.default_url=/lab/tree/{start.NOTEBOOK}" in command
    assert not any("token" in argument or "password" in argument for argument in command), "Jupyter makes the token"
    assert (ROOT / start.NOTEBOOK).exists()
