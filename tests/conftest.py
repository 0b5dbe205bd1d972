"""What all tests share: hypothesis without deadlines (machines differ), and in CI without chance: a failure repeats."""

import os

from hypothesis import settings

settings.register_profile("natlab", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("natlab")
