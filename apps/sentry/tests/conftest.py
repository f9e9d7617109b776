"""A program without a host process, for the tests of handlers."""

from collections.abc import Iterator

import pytest

from apps.sentry.tests.plain import Box, Program


@pytest.fixture
def p() -> Iterator[Program]:
    """Give the first program of a new kernel: root, without open files."""
    box = Box()
    yield box.init
    box.close()
