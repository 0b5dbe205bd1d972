"""What all tests share: hypothesis without deadlines (machines differ), and in CI without chance: a failure repeats.

With the long forms selected, which `python3 start.py test --all` does, each property is tried on many more examples.
"""

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st

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


@pytest.fixture(scope="session")
def few() -> settings:
    """For tests that build a world for each example."""
    return settings(max_examples=settings.default.max_examples // 4)


@pytest.fixture(scope="session")
def mutated():
    """What strangers make of good messages: `mutated(strategy of bytes)`. Bytes are changed, lost, put in, said twice.

    Arbitrary bytes hardly get past the first length of a format; a good message with a wrong byte gets everywhere.
    """

    @st.composite
    def changed(draw, wholes):
        data = draw(wholes)
        for _ in range(draw(st.integers(0, 3))):
            at, length = draw(st.integers(0, len(data))), draw(st.sampled_from([1, 1, 2, 4, 16]))
            before, piece, after = data[:at], data[at : at + length], data[at + length :]
            new = draw(st.binary(min_size=len(piece), max_size=len(piece)))
            changes = (
                before + new + after,
                before,
                before + after,
                before + piece + piece + after,
                before + new + piece + after,
            )
            data = draw(st.sampled_from(changes))
        return data

    return changed
