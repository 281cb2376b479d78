"""`shoal completion`: the script that makes a shell ask `shoal __complete` at the Tab key."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.errors import InvalidArgument

_BASH = r"""# Completion of shoal for bash. Load it by:  source <(shoal completion bash)
# or keep it as /etc/bash_completion.d/shoal
_shoal() {
    local line=${COMP_LINE:0:COMP_POINT} candidate current directive= prefix
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        case $candidate in
            :*) directive=${candidate#:} ;;
            ?*) COMPREPLY+=("$candidate") ;;
        esac
    done < <("$1" __complete --line "$line" 2>/dev/null)
    # bash replaces only what stands behind the last of these, where they part words.
    current=${line##*[[:space:]]}
    prefix=${current%"${current##*[:=]}"}
    if [[ -n $prefix && $COMP_WORDBREAKS == *"${prefix: -1}"* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
    case $directive in
        nospace) compopt -o nospace ;;
        files) compopt -o default -o filenames ;;
        dirs) compopt -o dirnames ;;
    esac
}
complete -F _shoal shoal
"""

_ZSH = r"""#compdef shoal
# Completion of shoal for zsh. Load it by:  source <(shoal completion zsh)
# or keep it as _shoal in a directory of your $fpath
_shoal() {
    local candidate what directive
    local -a found
    while IFS=$'\t' read -r candidate what; do
        case $candidate in
            :*) directive=${candidate#:} ;;
            ?*) found+=("${candidate//:/\\:}${what:+:$what}") ;;
        esac
    done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT-1]}" "${words[CURRENT]}" 2>/dev/null)
    case $directive in
        nospace) _describe -V shoal found -S '' ;;
        files) (( $#found )) && _describe shoal found; _files ;;
        dirs) _files -/ ;;
        *) (( $#found )) && _describe shoal found ;;
    esac
}
if [[ ${funcstack[1]} == _shoal ]]; then
    _shoal "$@"
else
    compdef _shoal shoal
fi
"""

_FISH = r"""# Completion of shoal for fish. Load it by:  shoal completion fish | source
# or keep it as ~/.config/fish/completions/shoal.fish
function __shoal_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($typed[1] __complete -- $typed[2..-1] "$current" 2>/dev/null)
    for candidate in $found
        switch $candidate
            case ':files'
                __fish_complete_path "$current"
            case ':dirs'
                __fish_complete_directories "$current"
            case ':*'
            case '*'
                echo $candidate
        end
    end
end
complete -c shoal -f -a '(__shoal_complete)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


class Options(Flags):
    """The parsed word."""

    shell: str


def configure(parser: Parser) -> None:
    """Adds the shell's name."""
    parser.add_argument("shell", metavar="bash|zsh|fish")


def run(options: Options, context: Context) -> int:
    """Prints the script."""
    if options.shell not in _SCRIPTS:
        raise InvalidArgument(f"no completion for the shell {options.shell!r}", fix=f"one of {', '.join(_SCRIPTS)}")
    context.stdout.write(_SCRIPTS[options.shell])
    return 0
