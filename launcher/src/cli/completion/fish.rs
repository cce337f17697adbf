//! Completion in fish.

use crate::cli::table::general::GLOBAL;
use crate::cli::table::spec::{CommandSpec, Operands, OptionSpec, Values};
use crate::cli::table::{ALIASES, COMMANDS, all, visible};

/// The script before the table.
const BEGIN: &str = r#"# fish completion for launcher

# The words of the line before the cursor, without options before the command.
function __launcher_words
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --dir
                set -e words[1]
            case '-*'
            case '*'
                break
        end
        set -e words[1]
    end
    string join \n -- $words
end

function __launcher_dir
    set -l words (commandline -opc)
    if set -l at (contains -i -- --dir $words)
        string join \n -- --dir $words[(math $at + 1)]
    end
end

function __launcher_at
    set -l words (__launcher_words)
    switch "$argv"
        case ''
            not set -q words[1]
        case '* *'
            set -q words[2]; and test "$words[1] $words[2]" = "$argv"
        case '*'
            set -q words[1]; and test "$words[1]" = "$argv"
    end
end

function __launcher_below
    set -l words (__launcher_words)
    test (count $words) -eq 1; and contains -- $words[1] $argv
end

# UUIDs of pods, and their names, which are in the last column.
function __launcher_pods
    launcher (__launcher_dir) list 2>/dev/null | awk '
        NR == 1 { at = match($0, /NAME$/); next }
        /^[^ ]/ { print $1; if (at && substr($0, at) != "") print substr($0, at) }'
end

function __launcher_images
    launcher (__launcher_dir) image list --fields=name --no-legend 2>/dev/null | sed 's/:.*//'
end

complete -c launcher -f
"#;

/// Returns the script.
pub(super) fn script() -> String {
    let mut out = BEGIN.to_owned();
    names(&mut out, "__launcher_at", COMMANDS);
    for (alias, words) in ALIASES {
        word(&mut out, "__launcher_at", alias, &words.join(" "));
    }
    for one in GLOBAL.options {
        option(&mut out, None, one);
    }
    for (path, command) in all() {
        let mut at = vec![path.clone()];
        for (alias, words) in ALIASES {
            let mut words = words.iter().filter(|word| !word.starts_with('-'));
            let words: Vec<_> = words.by_ref().copied().collect();
            at.extend((words.join(" ") == path).then(|| (*alias).to_owned()));
        }
        for path in at {
            let here = format!("__launcher_at {path}");
            operands(&mut out, &path, &here, command);
            for one in command.visible() {
                option(&mut out, Some(&here), one);
            }
        }
    }
    out
}

fn operands(out: &mut String, path: &str, here: &str, command: &'static CommandSpec) {
    let below = format!("__launcher_below {path}");
    names(out, &below, command.commands);
    let words = match command.operands {
        Operands::Commands if command.commands.is_empty() => return names(out, &below, COMMANDS),
        Operands::None | Operands::Commands => return,
        Operands::Files => "-F".to_owned(),
        Operands::Images => "-F -a '(__launcher_images)'".to_owned(),
        Operands::Pods => "-a '(__launcher_pods)'".to_owned(),
        Operands::Shells => "-a 'bash zsh fish'".to_owned(),
    };
    out.push_str(&format!("complete -c launcher -n '{here}' {words}\n"));
}

fn names(out: &mut String, condition: &str, commands: &'static [CommandSpec]) {
    for command in visible(commands) {
        word(out, condition, command.name, command.summary);
    }
}

fn word(out: &mut String, condition: &str, word: &str, description: &str) {
    let description = quoted(description);
    out.push_str(&format!(
        "complete -c launcher -n '{condition}' -a {word} -d {description}\n"
    ));
}

fn option(out: &mut String, condition: Option<&str>, option: &OptionSpec) {
    out.push_str("complete -c launcher");
    if let Some(condition) = condition {
        out.push_str(&format!(" -n '{condition}'"));
    }
    for name in option.spellings() {
        let bare = name.trim_start_matches('-');
        out.push_str(&match (name.starts_with("--"), bare.len()) {
            (true, _) => format!(" -l {bare}"),
            (false, 1) => format!(" -s {bare}"),
            (false, _) => format!(" -o {bare}"),
        });
    }
    match option.values() {
        Values::None => {}
        Values::Any => out.push_str(" -x"),
        Values::Files => out.push_str(" -r -F"),
        Values::Words(words) => out.push_str(&format!(" -x -a '{}'", words.replace('|', " "))),
    }
    out.push_str(&format!(" -d {}\n", quoted(option.help)));
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
