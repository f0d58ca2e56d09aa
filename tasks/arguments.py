"""Command lines, made from a function's own signature: types, bounds, defaults and docstring stand there once.

A parameter without a default is a positional argument, every other one an option. cyclopts does the same, but takes
0.2 s longer to begin, rounds 5.5 to a whole number, refuses an option that is given twice, and reports what a bound
does not allow in three lines.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from tasks.text import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WRONG_USAGE = 2


class Metavar(str):
    """The word for an option's value in the help, as metadata of a type: `Annotated[int, Metavar("SECONDS")]`."""

    __slots__ = ()


class Word(str):
    """The word for a positional argument that may be left out, as metadata of a type."""

    __slots__ = ()


class Words(str):
    """The word for a positional argument of any number, as metadata of a type."""

    __slots__ = ()


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        """End the process."""
        self.exit(WRONG_USAGE, f"{self.prog}: {message}. See --help.\n")


def parse(
    parameters: Iterable[inspect.Parameter], docstring: str, prog: str, arguments: list[str] | None = None
) -> dict[str, Any]:
    """Return the parameters that a command line holds, by name.

    Args:
        parameters: with their types evaluated.
        docstring: describes the command, and each parameter in its section `Args:`.
        prog: how the command is called.
        arguments: the command line without the program's name; None for this process's.

    Raises:
        SystemExit: the usage is wrong (2), or help was asked for (0).
    """
    text, _, described = inspect.cleandoc(docstring).partition("\nArgs:\n")
    parser = _Parser(prog=prog, description=text.partition("\nRaises:\n")[0].replace("%", "%%"))
    descriptions = _descriptions(described)
    for parameter in parameters:
        _add(parser, parameter, descriptions.get(parameter.name, "").replace("%", "%%"))
    return vars(_read_all(parser, sys.argv[1:] if arguments is None else arguments))


def refuse_usage(prog: str, message: str) -> NoReturn:
    """End the process as after any wrong usage, where only several arguments together are wrong.

    Args:
        prog: how the command is called.
        message: what is wrong, without a dot at its end.
    """
    _Parser(prog=prog).error(message)


def _read_all(parser: _Parser, arguments: list[str]) -> argparse.Namespace:
    """Read a command line; options may stand between words, but for Python 3.11 not if `--` stands there, too."""
    return parser.parse_args(arguments) if "--" in arguments else parser.parse_intermixed_args(arguments)


def parse_for(function: Callable[..., object], prog: str, arguments: list[str] | None = None) -> dict[str, Any]:
    """Return the parameters of a function that a command line holds, by name; see `parse`."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return parse(parameters, function.__doc__ or "", prog, arguments)


def _descriptions(section: str) -> dict[str, str]:
    """Return what a docstring's section `Args:` says of each parameter."""
    section = section.partition("\n\n")[0]
    named = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in named}


def _add(parser: argparse.ArgumentParser, parameter: inspect.Parameter, description: str) -> None:
    annotation, default = parameter.annotation, parameter.default
    if default is parameter.empty:
        parser.add_argument(parameter.name, metavar=parameter.name.upper(), type=_checked(annotation), help=description)
        return
    option = f"--{parameter.name.replace('_', '-')}"
    if words := _metadata(annotation, Words):
        parser.add_argument(parameter.name, nargs="*", metavar=words, help=description)
    elif word := _metadata(annotation, Word):
        check = _checked(annotation)
        parser.add_argument(parameter.name, nargs="?", default=default, metavar=word, type=check, help=description)
    elif annotation is bool:
        action = argparse.BooleanOptionalAction if default else "store_true"
        parser.add_argument(option, action=action, default=default, help=description)
    elif get_origin(annotation) is tuple:
        kind = get_args(annotation)[0]
        parser.add_argument(option.removesuffix("s"), action="append", dest=parameter.name, default=[],
                            metavar=_metadata(kind, Metavar) or "ID",
                            type=_checked(kind), help=f"{description} May be repeated.")  # fmt: skip
    else:
        shown = f"{description} Default: {default}." if default != "" else description
        parser.add_argument(
            option, type=_checked(annotation), default=default, metavar=_metavar(annotation), help=shown
        )


def _metavar(annotation: Any) -> str:
    return _metadata(annotation, Metavar) or "N"


def _metadata(annotation: Any, kind: type[str]) -> str:
    words = [word for word in getattr(annotation, "__metadata__", ()) if isinstance(word, kind)]
    return str(words[0]) if words else ""


def _checked(annotation: Any) -> Callable[[str], Any]:
    """Return what argparse checks and converts a text with, given the type that it has to be of."""
    adapter = TypeAdapter[Any](annotation)

    def check(text: str) -> Any:
        try:
            return adapter.validate_python(text)
        except ValidationError as invalid:
            error = invalid.errors()[0]
        message = error["msg"].removeprefix("Input ").removeprefix("Value error, ")
        problem = "is not of the right form" if error["type"] == "string_pattern_mismatch" else message
        raise argparse.ArgumentTypeError(f"{redact_text(text)[:80]!r} {problem}")

    return check
