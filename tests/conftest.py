"""What all tests share: hypothesis without deadlines (machines differ) and without chance in CI (a failure must repeat)."""

import os

from hypothesis import settings

settings.register_profile("natlab", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("natlab")
