"""The ``bailiwick`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with the exit code of design section 12."""
    if sys.argv[1:] == ["--version"]:
        from core import __version__

        print(f"bailiwick {__version__}")
        return
    from tui.commands.run import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
