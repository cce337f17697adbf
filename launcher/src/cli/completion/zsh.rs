//! Completion in zsh.

use crate::cli::table::general::{self, GLOBAL};
use crate::cli::table::spec::{CommandSpec, Operands, OptionSpec, Values};
use crate::cli::table::{ALIASES, COMMANDS, visible};

/// The script before the table.
const BEGIN: &str = r#"#compdef launcher
# zsh completion for launcher

# UUIDs of pods, and their names, which are in the last column.
__launcher_pods() {
    compadd -- ${(f)"$(launcher $dir list 2>/dev/null | awk '
        NR == 1 { at = match($0, /NAME$/); next }
        /^[^ ]/ { print $1; if (at && substr($0, at) != "") print substr($0, at) }')"}
}

__launcher_images() {
    compadd -- ${(f)"$(launcher $dir image list --fields=name --no-legend 2>/dev/null | sed 's/:.*//')"}
}

_launcher() {
    local cur=$words[CURRENT] prev=$words[CURRENT-1] command below kind value i
    local -a dir names options
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
        (--dir) dir=(--dir $words[++i]) ;;
        (-*) ;;
        (*) command=$words[i]; break ;;
        esac
    done
    ((i + 1 < CURRENT)) && below=$words[i+1]
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*}
        compset -P '*='
    fi
"#;

/// The script after the table.
const END: &str = r#"    case $prev in
    (--dir) kind=files value=1 ;;
    esac
    if [[ $cur == -* && -z $value ]]; then
        _describe -o option options
        return
    fi
    case $kind in
    (names) _describe word names ;;
    (files) _files ;;
    (pods) __launcher_pods ;;
    (images) __launcher_images; _files ;;
    esac
}

if [[ $funcstack[1] == _launcher ]]; then
    _launcher "$@"
elif (($+functions[compdef])); then
    compdef _launcher launcher
fi
"#;

/// Returns the script.
pub(super) fn script() -> String {
    let mut out = BEGIN.to_owned();
    out.push_str("    case $command in\n");
    for (alias, command, below) in super::arms::aliases() {
        out.push_str(&format!(
            "    ({alias}) command={command} below={below} ;;\n"
        ));
    }
    out.push_str("    esac\n    case $command/$below in\n");
    for (pattern, command) in super::arms::patterns() {
        out.push_str(&format!("    ({pattern})\n"));
        arm(&mut out, command);
    }
    out.push_str("    (/)\n        kind=names names=(");
    commands(&mut out, COMMANDS);
    for (alias, words) in ALIASES {
        described(&mut out, alias, &words.join(" "));
    }
    out.push_str(") options=(");
    GLOBAL.options.iter().for_each(|one| option(&mut out, one));
    out.push_str(")\n        ;;\n    esac\n");
    out.push_str(END);
    out
}

/// Writes what may follow a command.
fn arm(out: &mut String, command: &'static CommandSpec) {
    let kind = match command.operands {
        Operands::None => "none",
        Operands::Commands | Operands::Shells => "names",
        Operands::Files => "files",
        Operands::Images => "images",
        Operands::Pods => "pods",
    };
    out.push_str(&format!("        kind={kind} names=("));
    match command.operands {
        Operands::Shells => out.push_str("bash zsh fish"),
        Operands::Commands if command.commands.is_empty() => commands(out, COMMANDS),
        _ => commands(out, command.commands),
    }
    out.push_str(") options=(");
    command.visible().for_each(|one| option(out, one));
    let global = general::inside().into_iter();
    global.for_each(|one| option(out, one));
    out.push_str(")\n        case $prev in\n");
    for option in command.visible() {
        let spellings = option.spellings().collect::<Vec<_>>().join("|");
        match option.values() {
            Values::None => {}
            Values::Files => {
                out.push_str(&format!("        ({spellings}) kind=files value=1 ;;\n"))
            }
            Values::Any => out.push_str(&format!("        ({spellings}) kind=any value=1 ;;\n")),
            Values::Words(words) => out.push_str(&format!(
                "        ({spellings}) kind=names value=1 names=({}) ;;\n",
                words.replace('|', " ")
            )),
        }
    }
    out.push_str("        esac\n        ;;\n");
}

fn commands(out: &mut String, commands: &'static [CommandSpec]) {
    for command in visible(commands) {
        described(out, command.name, command.summary);
    }
}

fn option(out: &mut String, option: &OptionSpec) {
    for name in option.spellings() {
        described(out, name, option.help);
    }
}

/// Writes a word with its description.
fn described(out: &mut String, word: &str, description: &str) {
    let description = description.replace('\'', "'\\''").replace(':', "\\:");
    out.push_str(&format!("'{word}:{description}' "));
}
