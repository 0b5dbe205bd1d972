"""What all tests share: hypothesis without deadlines (machines differ), and in CI without chance: a failure repeats.

With the long forms selected, which `python3 start.py test --all` does, each property is tried on many more examples.
"""

import os

import pytest
from hypothesis import settings

LONGEST = 3600  # seconds for one test in the long form, where the short one has what pyproject.toml says
EXAMPLES = 1500  # of each property in the long form; hypothesis' own default is 100

settings.register_profile("natlab", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.register_profile("long", settings.get_profile("natlab"), max_examples=EXAMPLES)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    is_long = config.getoption("markexpr") != "not long"
    settings.load_profile("long" if is_long else "natlab")
    if is_long and config.option.timeout is None:
        config.option.timeout = LONGEST
