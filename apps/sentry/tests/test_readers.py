"""The two readers of the command line agree, and the plain one answers for every plain command."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sentry_platform
from sentry.cli import full, plain
from sentry.cli.options import OPTIONS
from sentry.failures import UsageFailure
from sentry.spec import PLATFORMS, SandboxSpec

VALUES = [*PLATFORMS, "file", "", "-x", "--", "do", "a=b"]
NAMES = [name for option in OPTIONS for name in option.names]
WORDS = st.sampled_from(
    [*NAMES, *(f"{n}={v}" for n in NAMES for v in VALUES), *VALUES, "--help", "-h", "--plat", "true", "-"]
)
given_options = st.lists(
    st.one_of(
        st.sampled_from([["--debug"], ["--strace"]]),
        st.sampled_from(PLATFORMS).flatmap(lambda p: st.sampled_from([["--platform", p], [f"--platform={p}"]])),
        st.sampled_from([["--volume", "a:/b"], ["--volume=a:/b:ro"], ["-w", "/x"], ["--workdir=x"], ["--rootfs", "r"]]),
        st.sampled_from([["-e", "A=b"], ["--env=A=-b"], ["--env", "A="]]),
        st.sampled_from([["--debug-log", "log"], ["--debug-log=log"], ["--debug-log=a=b"]]),
    ),
    max_size=4,
).map(lambda groups: [word for group in groups for word in group])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(WORDS, max_size=8))
def test_plain_answers_as_full(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Where the plain reader returns a spec, the full one returns the same."""
    answer = plain.parse(words)
    if answer is not None:
        assert full.parse(words) == answer
    capsys.readouterr()


@settings(deadline=None)
@given(
    given_options,
    given_options,
    st.booleans(),
    st.lists(st.sampled_from(["--debug", "-x", "--", "do", "x"]), max_size=3),
)
def test_plain_takes_every_plain_command(
    before: list[str],
    after: list[str],
    dashes: bool,  # noqa: FBT001  (a drawn value)
    arguments: list[str],
) -> None:
    """Right options, then a command: no need for the full reader; the later value wins."""
    words = [*before, "do", *after, *(["--"] if dashes else []), "command", *arguments]
    answer = plain.parse(words)
    assert answer is not None
    assert answer == full.parse(words)
    assert answer.argv == ["command", *arguments]
    assert answer.debug is ("--debug" in before + after)


def test_latter_wins() -> None:
    """After `do` counts more than before."""
    answer = plain.parse(["--platform", "kvm", "do", "--platform", "notify", "x"])
    assert answer == SandboxSpec(["x"], platform="notify")


@pytest.mark.parametrize(
    "words", [[], ["do"], ["do", "--"], ["x"], ["do", "--platform", "x", "y"], ["do", "--debug=1", "x"]]
)
def test_doubt_goes_to_full_and_is_a_usage_failure(words: list[str]) -> None:
    """The plain reader returns None for a mistake; the full one fails with one line."""
    assert plain.parse(words) is None
    with pytest.raises(UsageFailure) as caught:
        full.parse(words)
    assert "\n" not in str(caught.value)


def test_each_option_is_a_field() -> None:
    """The table names fields of SandboxSpec with the same defaults as no option gives."""
    assert {option.field for option in OPTIONS} <= set(SandboxSpec._fields)
    assert plain.parse(["do", "x"]) == SandboxSpec(["x"])


def test_platforms_are_those_of_the_library() -> None:
    """The command line names them without importing the library."""
    assert (sentry_platform.AUTO, *sentry_platform.PLATFORMS) == PLATFORMS
