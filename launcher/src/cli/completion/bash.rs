//! Completion in bash.

use crate::cli::table::general::{self, GLOBAL};
use crate::cli::table::spec::{CommandSpec, Operands, OptionSpec, Values};
use crate::cli::table::{ALIASES, COMMANDS, visible};

/// The script before the table.
const BEGIN: &str = r#"# bash completion for launcher

# UUIDs of pods, and their names, which are in the last column.
__launcher_pods() {
    launcher "${dir[@]}" list 2>/dev/null | awk '
        NR == 1 { at = match($0, /NAME$/); next }
        /^[^ ]/ { print $1; if (at && substr($0, at) != "") print substr($0, at) }'
}

__launcher_images() {
    launcher "${dir[@]}" image list --fields=name --no-legend 2>/dev/null | sed 's/:.*//'
}

_launcher() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    # bash makes three words of `--name=value`.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    local command= kind= words= options= value= i
    local -a dir=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --dir) dir=(--dir "${COMP_WORDS[++i]}") ;;
        -*) ;;
        *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    local below=${COMP_WORDS[i+1]}
    ((i + 1 < COMP_CWORD)) || below=
"#;

/// The script after the table.
const END: &str = r#"    case $prev in
    --dir) kind=files words= value=1 ;;
    esac
    if [[ $cur == -* && ! $value ]]; then
        kind=words words=$options
    fi
    case $kind in
    words) ;;
    pods) words=$(__launcher_pods) ;;
    images) words=$(__launcher_images) ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ $kind == files || $kind == images ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY+=($(compgen -f -- "$cur"))
    fi
}

complete -F _launcher launcher
"#;

/// Returns the script.
pub(super) fn script() -> String {
    let mut out = BEGIN.to_owned();
    out.push_str("    case $command in\n");
    for (alias, command, below) in super::arms::aliases() {
        out.push_str(&format!(
            "    {alias}) command={command} below={below} ;;\n"
        ));
    }
    out.push_str("    esac\n    case $command/$below in\n");
    for (pattern, command) in super::arms::patterns() {
        out.push_str(&format!("    {pattern})\n"));
        arm(&mut out, command);
    }
    out.push_str("    /)\n");
    let names = visible(COMMANDS).map(|command| command.name);
    let names: Vec<_> = names
        .chain(ALIASES.iter().map(|(alias, _)| *alias))
        .collect();
    let options = spellings(GLOBAL.options.iter());
    out.push_str(&format!(
        "        kind=words words='{}' options='{options}'\n        ;;\n    esac\n",
        names.join(" ")
    ));
    out.push_str(END);
    out
}

/// Writes what may follow a command.
fn arm(out: &mut String, command: &'static CommandSpec) {
    let kind = match command.operands {
        Operands::None => "none",
        Operands::Commands => "words",
        Operands::Files => "files",
        Operands::Images => "images",
        Operands::Pods => "pods",
        Operands::Shells => "words",
    };
    let names = match command.operands {
        Operands::Shells => "bash zsh fish".to_owned(),
        Operands::Commands if command.commands.is_empty() => names(COMMANDS),
        _ => names(command.commands),
    };
    let options = spellings(command.visible().chain(general::inside()));
    out.push_str(&format!(
        "        kind={kind} words='{names}' options='{options}'\n        case $prev in\n"
    ));
    for option in command.visible() {
        let names = option.spellings().collect::<Vec<_>>().join("|");
        match option.values() {
            Values::None => {}
            Values::Files => {
                out.push_str(&format!("        {names}) kind=files words= value=1 ;;\n"))
            }
            Values::Any => out.push_str(&format!("        {names}) kind=any words= value=1 ;;\n")),
            Values::Words(words) => out.push_str(&format!(
                "        {names}) kind=words words='{}' value=1 ;;\n",
                words.replace('|', " ")
            )),
        }
    }
    out.push_str("        esac\n        ;;\n");
}

fn names(commands: &'static [CommandSpec]) -> String {
    let names: Vec<_> = visible(commands).map(|command| command.name).collect();
    names.join(" ")
}

fn spellings(options: impl Iterator<Item = &'static OptionSpec>) -> String {
    let mut all: Vec<_> = options.flat_map(OptionSpec::spellings).collect();
    all.dedup();
    all.join(" ")
}
