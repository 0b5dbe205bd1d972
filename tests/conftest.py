"""What all tests share: hypothesis without deadlines (machines differ), and in CI without chance: a failure repeats.

With the long forms selected, which `python3 start.py test --all` does, each property is tried on many more examples.
"""

import os

import pytest
from hypothesis import settings

EXAMPLES = 1500  # of each property in the long form; hypothesis' own default is 100

settings.register_profile("natlab", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.register_profile("long", settings.get_profile("natlab"), max_examples=EXAMPLES)


def pytest_configure(config: pytest.Config) -> None:
    is_long = config.getoption("markexpr") != "not long"
    settings.load_profile("long" if is_long else "natlab")
