"""The full reader: a Typer application over the same table of options.

It owns help, error messages and all other commands.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

import sentry
from sentry.cli.options import OPTIONS, Option
from sentry.failures import UsageFailure
from sentry.spec import SandboxSpec

app: Final = typer.Typer(
    name="sentry",
    help="Run Linux programs under a kernel of their own.",
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)

# Typer brings its own copy of Click: what all its complaints have in common is reached through the one that it exports.
_Complaint: Final[type[Exception]] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


def _check(option: Option) -> Callable[[Any], Any]:
    """Return the check of an option's value, as Typer calls it."""

    def check(value: Any) -> Any:  # noqa: ANN401  (text, or a list of texts)
        if value is None:
            return None
        if option.kind == "list":
            return [check_one(one) for one in value]
        return check_one(value)

    def check_one(value: str) -> str:
        if option.choices and value not in option.choices:
            message = f"{value!r} is none of {', '.join(option.choices)}"
            raise typer.BadParameter(message)
        if not value or value.startswith("-"):
            message = f"{value!r} is no {option.metavar}"
            raise typer.BadParameter(message)
        return value

    return check


def _parameter(option: Option) -> inspect.Parameter:
    """Return an option of the table as a parameter that Typer understands; None means not given."""
    if option.kind == "flag":
        info = typer.Option(*option.names, help=option.help, show_default=False)
        hint: Any = Annotated[bool, info]
        default: Any = False
    else:
        text = f"{option.help} One of {', '.join(option.choices)}." if option.choices else option.help
        info = typer.Option(
            *option.names, help=text, metavar=option.metavar, callback=_check(option), show_default=False
        )
        hint, default = Annotated[list[str] | None if option.kind == "list" else str | None, info], None
    return inspect.Parameter(option.field, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that ends in **options the options of the table, in the two places where Typer looks."""
    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters = [*own, *(_parameter(option) for option in OPTIONS)]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads the parameters from
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    return function


def _version(value: bool) -> None:  # noqa: FBT001  (Typer's calling convention)
    """Print the version and end."""
    if value:
        print(f"sentry {sentry.__version__}")  # noqa: T201  (what was asked for)
        raise typer.Exit


@app.callback()
@_with_options
def _global(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  (its callback acts)
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_version)
    ] = False,
    **options: Any,  # noqa: ANN401  (those of SandboxSpec, whose types they have)
) -> None:
    """Run Linux programs under a kernel of their own."""
    context.obj = options


@app.command("do", context_settings={"allow_interspersed_args": False})
@_with_options
def _do(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", show_default=False)],
    **options: Any,  # noqa: ANN401  (those of SandboxSpec, whose types they have)
) -> SandboxSpec:
    """Run a command of the host in a sandbox over an in-memory copy of its files."""
    given: dict[str, Any] = {}
    for layer in (context.obj, options):
        for name, value in layer.items():
            if value:
                given[name] = (*given.get(name, ()), *value) if isinstance(value, list) else value
    return SandboxSpec(list(command), **given)


@app.command("platforms")
def _platforms() -> None:
    """Print which platforms work on this host, and what the others lack."""
    from sentry.build import platforms_report  # noqa: PLC0415  (help does not need it)

    print(platforms_report())  # noqa: T201  (what was asked for)


def parse(words: list[str]) -> SandboxSpec | int:
    """Read the words after the program's name, and do what is not `do`; return the spec or an exit status.

    Raises: UsageFailure for a wrong command line.
    """
    try:
        result = typer.main.get_command(app).main(args=words, prog_name="sentry", standalone_mode=False)
    except _Complaint as complaint:
        text = complaint.format_message()  # type: ignore[attr-defined]  # Click's own exceptions have it
        message = " ".join(text.replace("\n", " ").split()) or "a command is missing"
        raise UsageFailure(message[:1].lower() + message[1:].rstrip(".") + "; see sentry --help") from None
    if sys.stdout is not None:
        sys.stdout.flush()
    return result if isinstance(result, SandboxSpec) else int(result or 0)
