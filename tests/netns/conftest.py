"""What runs in a namespace runs only where there are any."""

import shutil

import pytest

from natlab import netns


@pytest.fixture(scope="session")
def namespaces():
    if reason := netns.why_not():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def nft():
    if shutil.which("nft") is None:
        pytest.skip("there is no `nft` command (package nftables)")
