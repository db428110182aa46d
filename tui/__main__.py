"""The ``bailiwick`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with the exit code of design section 12."""
    if sys.argv[1:2] == ["hook"]:
        _serve_hook(sys.argv[2:])
    if sys.argv[1:] == ["--version"]:
        from core import __version__

        print(f"bailiwick {__version__}")
        return
    from tui.commands.run import run

    sys.exit(run(sys.argv[1:]))


def _serve_hook(arguments: list[str]) -> None:
    """End the process here where a client calls its hook: it waits, so nothing else is loaded, and it never fails."""
    from core.intake.hook import serve, takes

    if takes(arguments):
        serve(arguments)


if __name__ == "__main__":
    main()
