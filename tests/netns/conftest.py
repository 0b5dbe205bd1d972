"""What runs in a namespace runs only where there are any."""

import pytest

from natlab import netns


@pytest.fixture(scope="session")
def namespaces():
    if reason := netns.why_not():
        pytest.skip(reason)
