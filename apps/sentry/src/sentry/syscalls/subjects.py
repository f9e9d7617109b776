"""The modules of handlers, one a subject, imported when a call of theirs is first made.

`_index` says which call is in which module, so that nothing has to be imported to know it; `tools/dev calls` writes it.
"""

from importlib import import_module
from typing import Final

from sentry.syscalls._index import SUBJECTS
from sentry.syscalls.binder import Calls, Handler
from sentry_host import KeptDescriptors

NAMES: Final = {name: module for module, names in SUBJECTS.items() for name in names.split()}
"""The module of each call's handler."""


def subject(module: str) -> Calls:
    """Import a module of handlers; return them."""
    with KeptDescriptors():
        calls = import_module(f"sentry.syscalls.{module}").calls
    assert isinstance(calls, Calls)
    return calls


def handler_of(module: str, name: str) -> Handler:
    """Return the handler of a call."""
    return subject(module).handlers[name]


def subjects() -> dict[str, Calls]:
    """Import every module of handlers; return them by module."""
    return {module: subject(module) for module in SUBJECTS}


def all_handlers() -> dict[str, Handler]:
    """Return every handler by the name of its call."""
    return {name: handler for calls in subjects().values() for name, handler in calls.handlers.items()}
