"""`convnext-nas COMMAND ...`: every command under one name, with completion; `python -m` runs the same ones.

Only the command that is asked for is imported. For completion (`pip install 'convnext-nas[completion]'`):

    eval "$(register-python-argcomplete convnext-nas)"                   # bash, zsh
    register-python-argcomplete --shell fish convnext-nas | source      # fish
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from space.command import Command
from space.errors import quoted
from space.registry import Entry

PROGRAM = "convnext-nas"
COMMANDS: dict[str, Entry] = {
    "search": Entry("nas.search", "find the best network inside a cost budget, by short trainings"),
    "measure": Entry("nas.measure", "train named networks under one proxy, each with several seeds"),
    "export": Entry("nas.export", "write a network as files that a training starts from, each form checked"),
    "train": Entry("nas.train", "train a network by its recipe"),
    "evaluate": Entry("nas.evaluate", "the accuracy of trained weights on a data set"),
    "describe": Entry("space.describe", "a network's stages and what they cost"),
    "dashboard": Entry("analysis.dashboard", "the page of one study or several; --serve follows a search"),
    "compare": Entry("analysis.compare", "families of networks at equal FLOPs, with intervals"),
    "scale": Entry("analysis.scale", "the network of a larger budget, by the rules that a study shows"),
    "importance": Entry("analysis.importance", "which choices of the space matter in a study"),
    "agreement": Entry("analysis.agreement", "how far the order under a proxy is ImageNet's"),
    "proxies": Entry("analysis.proxies", "how well scores without training rank a study's networks"),
}


def parser() -> Command:
    """The command line up to the command's name."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {entry.summary}" for name, entry in COMMANDS.items())
    parse = Command(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND ...",
        description="Architecture search and scaling analysis for ConvNeXt-family image networks.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"commands:\n{listed}\n\n{PROGRAM} COMMAND --help shows a command's flags.",
    )
    parse.add_argument("--version", action="store_true", help="show the version and exit")
    # not choices: a name that is none is answered with the one that it is like
    command = parse.add_argument("command", metavar="COMMAND", nargs="?", help=argparse.SUPPRESS)
    command.completer = lambda **_: list(COMMANDS)  # type: ignore[attr-defined]
    return parse


def version() -> str:
    """Of the installed package; in a clone that was never installed there is none."""
    from importlib import metadata  # half of what the help takes

    try:
        return metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def main(argv: Sequence[str] | None = None) -> int:
    """Hand over to the command; returns its exit code, 2 for a name that is none."""
    if "_ARGCOMPLETE" in os.environ:
        return complete()
    given = list(sys.argv[1:] if argv is None else argv)
    own = parser()
    # a flag before the command is this program's, those after it are the command's
    first = own.parse_args(given[:1] or ["--help"])
    if first.version:
        return own.carry_out(lambda: print(f"{PROGRAM} {version()}"))
    name = first.command
    if name not in COMMANDS:
        like = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {like[0]}?" if like else f"there are {', '.join(COMMANDS)}"
        return own.ended(2, f"{quoted(name)} is no command; {hint}")
    command = importlib.import_module(COMMANDS[name].place)
    Command.called = f"{PROGRAM} {name}"
    try:
        code: int = command.main(given[1:])
    finally:
        Command.called = None
    return code


def complete() -> int:
    """Answer the shell, which asks by variables of the environment, and exit."""
    try:
        import argcomplete
        from argcomplete.completers import ChoicesCompleter
    except ImportError:  # installed for another Python: no answer
        return 1

    # with a mark where the cursor is, so that the word that is still being written is there, if empty
    words = f"{os.environ['COMP_LINE'][: int(os.environ['COMP_POINT'])]}|".split()[1:]
    parse = parser()
    if len(words) > 1 and words[0] in COMMANDS:
        parse = importlib.import_module(COMMANDS[words[0]].place).parser()
        os.environ["_ARGCOMPLETE"] = "2"  # the flags begin after the command's name
        known = values()
        for action in parse._actions:
            if action.dest in known:
                action.completer = ChoicesCompleter(dict.fromkeys(known[action.dest], ""))
    argcomplete.autocomplete(parse)  # exits
    return 0


def values() -> dict[str, list[str]]:
    """What flags of these names take, as far as it is a list; the shell completes files by itself."""
    from importlib import resources

    from nas.samplers.registry import SAMPLERS
    from nas.targets import TARGETS

    shipped = {
        kind: [file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")]
        for kind, folder in (
            ("proxy", resources.files("nas") / "proxies"),
            ("space", resources.files("space") / "spaces"),
        )
    }
    studies = [path.parent.name for path in Path("runs").glob("*/study.*")]
    return {
        **shipped,
        "sampler": list(SAMPLERS),
        "to": [*TARGETS, "all"],
        "engine": ["local", "ray"],
        "scheduler": ["none", "auto", "asha", "halving", "hyperband"],
        "objective": ["best", "front"],
        "study": studies,
        "studies": studies,
    }


if __name__ == "__main__":
    sys.exit(main())
