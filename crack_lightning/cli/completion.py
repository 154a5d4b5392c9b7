"""What a shell completes after `crack`: commands, their keys, and values where there are few."""

from dataclasses import fields
from typing import Any, cast, get_args

from crack_lightning.cli.verbs import VERBS, options_class
from crack_lightning.errors import UserError
from crack_lightning.system.option_groups import choices_of, group_names
from crack_lightning.system.option_keys import SHORT_KEYS, keys, section_of

SHELLS = ("bash", "zsh")
HEAD = """\
# crack --completion {shell}: put this into a file that the shell reads when it starts, or eval "$(...)" it.
{zsh}_crack() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" line="${{COMP_LINE:0:COMP_POINT}}" verb="${{COMP_WORDS[1]}}"
    current="${{line##* }}"
    local key="${{current%%=*}}" words=""
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W "{verbs}" -- "$current"))
        return
    fi
    if [[ $current == *=* ]]; then
        case "$verb:$key" in
{values}
        esac
        if [[ -n $words ]]; then
            COMPREPLY=($(compgen -W "$words" -- "${{current#*=}}"))
        else
            compopt -o filenames 2> /dev/null
            COMPREPLY=($(compgen -f -- "${{current#*=}}"))
        fi
        return
    fi
    case "$verb" in
{keys}
    esac
    compopt -o nospace 2> /dev/null
    COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}}
complete -F _crack crack
"""


def script(shell: str = "bash") -> str:
    """Returns what a shell reads to complete `crack`. Raises UserError for a shell that is not known."""
    if shell not in SHELLS:
        raise UserError(f"--completion {shell}: one of {', '.join(SHELLS)}")
    values = [f'            {name}:{key}) words="{" ".join(few)}" ;;' for name in VERBS for key, few in _values(name)]
    known = [f'        {name}) words="{" ".join(f"{key}=" for key in _keys(name))}" ;;' for name in VERBS]
    zsh = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    verbs = " ".join(VERBS)
    return HEAD.format(shell=shell, zsh=zsh, verbs=verbs, values="\n".join(values), keys="\n".join(known))


def _keys(name: str) -> list[str]:
    """Returns the keys of a command that hold a value, and its groups."""
    own = [key for key, hint in keys(options_class(name)) if section_of(hint) is None]
    groups = [group for group in group_names() if group != "hydra"] if name == "train" else []
    short = [key for key, long in SHORT_KEYS.items() if long in own]
    return list(dict.fromkeys([*groups, *short, "out", *own]))


def _values(name: str) -> list[tuple[str, list[str]]]:
    """Returns the keys of which there are few values, with these."""
    groups = [group for group in group_names() if group != "hydra"] if name == "train" else []
    return [(group, choices_of(group)) for group in groups] + _few(options_class(name), "")


def _few(kind: type, above: str) -> list[tuple[str, list[str]]]:
    values = []
    hints = {key: hint for key, hint in keys(kind) if "." not in key}
    for field in fields(cast(Any, kind)):
        hint, key = hints[field.name], f"{above}{field.name}"
        if (section := section_of(hint)) is not None:
            values += _few(section, f"{key}.")
        few = field.metadata.get("choices", field.metadata.get("suggested", ()))
        if bool in (hint, *get_args(hint)):
            few = ("true", "false")
        if few:
            values.append((key, ["null" if value is None else str(value) for value in few]))
    return values
