"""What every script in `pipelines/` does first and last: read its config, make one call, answer errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from tfr_listbert.config import Config, read_config
from tfr_listbert.schema import InputError


def run_script(call: Callable[[Config], None], doc: str, decided: Mapping[str, str] | None = None) -> None:
    """Reads `CONFIG.yaml [section.key=value ...]` from the command line, calls `call(config)` and exits.

    Exits 0 when all went well; 2 with one message on standard error for input or settings that the user can mend; 130
    when interrupted.

    Args:
        call: the script's one library call.
        doc: the script's docstring, printed for --help.
        decided: settings that the script sets for each of its runs, mapped to the setting that controls it; the former
            are refused on the command line, where they would change nothing.
    """
    arguments = sys.argv[1:]
    if "-h" in arguments or "--help" in arguments:
        print(doc.strip())
        sys.exit(0)
    if not arguments:
        print(f"Usage: python {sys.argv[0]} CONFIG.yaml [section.key=value ...]", file=sys.stderr)
        sys.exit(2)
    try:
        _refuse(arguments[1:], decided or {})
        call(read_config(arguments[0], arguments[1:]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nInterrupted. Start the same command again: what is finished is kept.", file=sys.stderr)
        sys.exit(130)


def _refuse(overrides: Sequence[str], decided: Mapping[str, str]) -> None:
    for override in overrides:
        name = override.partition("=")[0]
        for setting, control in decided.items():
            if f"{name}.".startswith(f"{setting}."):
                raise InputError(f"`{name}` would change nothing here: `{control}` says what each run gets; set that.")
