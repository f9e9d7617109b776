"""The plain reader: `sentry [options] do [options] [--] COMMAND...` without an option library.

It reads only plain cases; for help, other commands, abbreviations and every mistake it returns None,
and the full reader decides. A test compares the two.
"""

from typing import Any

from sentry.cli.options import OPTIONS, Option
from sentry.spec import SandboxSpec


def parse(words: list[str]) -> SandboxSpec | None:
    """Read the words after the program's name; None means: ask the full reader."""
    known = {name: option for option in OPTIONS for name in option.names}
    values: dict[str, Any] = {}
    place = _options(words, 0, known, values)
    if place is None or words[place : place + 1] != ["do"]:
        return None
    place = _options(words, place + 1, known, values)
    if place is None:
        return None
    if words[place : place + 1] == ["--"]:
        place += 1
    command = words[place:]
    return SandboxSpec(command, **values) if command else None


def _options(words: list[str], place: int, known: dict[str, Option], values: dict[str, Any]) -> int | None:
    """Read options from place on into values; return where they end, None for a word that it does not know."""
    while place < len(words):
        word = words[place]
        if word == "--" or not word.startswith("-"):
            return place
        name, equals, value = word.partition("=")
        option = known.get(name)
        if option is None:
            return None
        if option.kind == "flag":
            if equals:
                return None
            values[option.field] = True
        else:
            if equals and not name.startswith("--"):
                return None  # -w=x: the option library has its own opinion
            if not equals:
                place += 1
                value = words[place] if place < len(words) else ""
            if not value or value.startswith("-") or (option.choices and value not in option.choices):
                return None
            values[option.field] = (*values.get(option.field, ()), value) if option.kind == "list" else value
        place += 1
    return place
