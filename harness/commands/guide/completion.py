"""What the command `completion` does: a shell's script, and the words that it asks us for.

The script has the shell call isobench at each Tab, with the line so far in the environment; typer
answers, by the functions below where a value is to be completed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, Final

from harness.errors import IsobenchError

PROGRAM: Final = "isobench"
VARIABLE: Final = "_ISOBENCH_COMPLETE"

Choice = str | tuple[str, str]
"""A word, or a word and what it stands for."""

# typer's own script goes by COMP_WORDS, which bash divides at : and =, and which then ends within
# closed:8 or cgi:spawn=fork. What stands before the last of them must not be said again (bash(1),
# COMP_WORDBREAKS).
_BASH: Final = """\
_isobench_completion() {
    local IFS=$' \\t\\n' line=${COMP_LINE:0:COMP_POINT} word
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    word=${words[-1]}
    [[ $word == --*=* ]] && word=${word#*=}
    IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${words[*]}" COMP_CWORD=$(( ${#words[@]} - 1 )) \\
                   _ISOBENCH_COMPLETE=complete_bash "$1" 2>/dev/null ) )
    COMPREPLY=( "${COMPREPLY[@]#"${word%"${word##*[:=]}"}"}" )
}

complete -o default -F _isobench_completion isobench
"""

# typer's own scripts for zsh and fish offer nothing after --option=, and that for zsh nothing at
# the first Tab, which only loads it: a file in fpath is a function's body (zshmisc(1), Autoloading
# Functions). Both ask as fish does here: a word a line, a tab, and what it means.
_ZSH: Final = """\
#compdef isobench

_isobench_completion() {
    local word meaning
    local -a found
    while IFS=$'\t' read -r word meaning; do
        [[ -n $word ]] && found+=("${word//:/\\:}${meaning:+:$meaning}")
    done < <(env _ISOBENCH_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
                 _TYPER_COMPLETE_ARGS="${words[1,CURRENT]}" isobench 2>/dev/null)
    [[ $words[CURRENT] == --*=* ]] && compset -P 1 '*='
    if (( $#found )); then
        _describe -V isobench found
    else
        _files
    fi
}

if [[ $funcstack[1] == _isobench ]]; then
    _isobench_completion "$@"
else
    compdef _isobench_completion isobench
fi
"""

_FISH: Final = """\
function __isobench_completion
    set -l word (commandline -ct)
    set -l option (string match -r -- '^--[^=]*=' $word; or echo '')
    set -l found (env _ISOBENCH_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
                      _TYPER_COMPLETE_ARGS=(commandline -cp) isobench 2>/dev/null)
    if test -n "$found[1]"
        printf '%s\n' $option$found
    else
        __fish_complete_path $word
    end
end

complete --command isobench --no-files --arguments '(__isobench_completion)'
"""
_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
SHELLS: Final = tuple(_SCRIPTS)


def script(shell: str) -> str:
    """Return what a shell is to read. Raises IsobenchError for one that is not supported."""
    if shell not in SHELLS:
        raise IsobenchError(
            f"there is no completion for the shell {shell!r}",
            hint=f"choose one of {', '.join(SHELLS)}",
        )
    return _SCRIPTS[shell]


def answer_shells() -> None:
    """Have typer answer what the scripts ask, which it does not of itself without its options.

    Those would write into the user's ~/.bashrc.
    """
    _typer().completion_init()


def _typer() -> Any:
    """Return the part of typer that has completion, and exports no name of it."""
    return import_module("typer.completion")


def modes(incomplete: str) -> list[tuple[str, str]]:
    """Return the targets that may come next in a list of modes; factors after a colon."""
    from harness.target import targets

    try:
        if ":" in incomplete.rpartition(",")[2]:
            return _listed(incomplete, targets.with_factors())
        known = [(one.name, one.precedent) for one in targets.available()]
    except IsobenchError:  # no time to say so
        return []
    return _listed(incomplete, known)


def workloads(incomplete: str) -> list[tuple[str, str]]:
    """Return the workloads that may come next in a list."""
    from workloads import catalog

    return _listed(incomplete, catalog.WORKLOADS)


def attacks(incomplete: str) -> list[tuple[str, str]]:
    """Return the families and attacks that may come next in a list."""
    from workloads.attacks import FAMILIES, FOLDER

    # By their files: to load a hundred modules takes too long for a key.
    files = (path.stem for path in sorted(FOLDER.glob("*/*.py")))
    return _listed(incomplete, [*FAMILIES, *(name for name in files if name != "__init__")])


def topics(incomplete: str) -> list[tuple[str, str]]:
    """Return the terms that `help` explains."""
    from harness.commands.guide.topics import TOPICS

    return [(topic.name, topic.gist) for topic in TOPICS.values()]


def one_of(*words: Choice) -> Callable[[str], Sequence[Choice]]:
    """Return what completes a value that is one of these words."""

    def complete(incomplete: str) -> Sequence[Choice]:
        return list(words)

    return complete


def listed(*words: str) -> Callable[[str], Sequence[Choice]]:
    """Return what completes a list of these words, with commas between them."""

    def complete(incomplete: str) -> Sequence[Choice]:
        return _listed(incomplete, words)

    return complete


def _listed(incomplete: str, words: Iterable[Choice]) -> list[tuple[str, str]]:
    """Return the list so far with each word that may follow, but for those that it has."""
    before, comma, _ = incomplete.rpartition(",")
    taken = set(before.split(","))
    pairs = [(one, "") if isinstance(one, str) else one for one in words]
    return [(f"{before}{comma}{word}", meaning) for word, meaning in pairs if word not in taken]
