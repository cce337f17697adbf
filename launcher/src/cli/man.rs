//! `launcher man`: prints man pages, generated from the table of commands.

use crate::cli::help::{PURPOSE, signature};
use crate::cli::table::general::GLOBAL;
use crate::cli::table::spec::{CommandSpec, OptionSpec};
use crate::cli::table::{ALIASES, COMMANDS, aliases_of, all, visible};
use error::{Error, Kind, Result};

/// Returns a page as roff, or the names of all pages.
///
/// # Errors
///
/// The page does not exist.
pub(super) fn page(name: Option<&str>) -> Result<String> {
    let all = || {
        all()
            .into_iter()
            .map(|(path, spec)| (page_name(&path), path, spec))
    };
    match name {
        None => {
            let names = all().map(|(name, ..)| format!("{name}\n"));
            Ok(std::iter::once("launcher\n".to_owned())
                .chain(names)
                .collect())
        }
        Some("launcher") => Ok(overview()),
        Some(wanted) => match all().find(|(name, ..)| name == wanted) {
            Some((name, path, command)) => Ok(of(&name, &path, command)),
            None => Err(
                Error::new(Kind::NotFound, format!("man page `{wanted}` not found"))
                    .hint("`launcher man` prints the names of all pages"),
            ),
        },
    }
}

fn page_name(path: &str) -> String {
    format!("launcher-{}", path.replace(' ', "-"))
}

fn overview() -> String {
    let mut out = header("launcher", "runs App Container images");
    section(&mut out, "Synopsis");
    out.push_str("\\fBlauncher\\fR [OPTIONS] COMMAND [ARGUMENTS]\n");
    section(&mut out, "Description");
    line(&mut out, PURPOSE);
    section(&mut out, "Commands");
    for command in visible(COMMANDS) {
        term(&mut out, &reference(command.name), command.summary);
    }
    section(&mut out, "Aliases");
    for (alias, words) in ALIASES {
        term(&mut out, &bold(alias), &words.join(" "));
    }
    section(&mut out, "Options");
    GLOBAL.options.iter().for_each(|one| option(&mut out, one));
    out
}

fn of(name: &str, path: &str, command: &'static CommandSpec) -> String {
    let mut out = header(name, command.summary);
    section(&mut out, "Synopsis");
    for (index, usage) in command.usage.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ".br\n" });
        out.push_str(&format!(
            "{} {}\n",
            bold(&format!("launcher {path}")),
            escaped(usage)
        ));
    }
    section(&mut out, "Description");
    for (index, paragraph) in command.about.split("\n\n").enumerate() {
        out.push_str(if index == 0 { "" } else { ".PP\n" });
        line(&mut out, paragraph);
    }
    if !command.commands.is_empty() {
        section(&mut out, "Commands");
        for below in visible(command.commands) {
            let reference = reference(&format!("{path} {}", below.name));
            term(&mut out, &reference, below.summary);
        }
    }
    section(&mut out, "Options");
    for group in command.groups.iter().chain(&[&GLOBAL]) {
        let mut options = command.options_of(group).peekable();
        if options.peek().is_some() {
            out.push_str(&format!(".SS {}\n", escaped(group.title)));
        }
        options.for_each(|one| option(&mut out, one));
    }
    for (title, terms) in command.terms {
        section(&mut out, title);
        for (word, meaning) in *terms {
            term(&mut out, &bold(word), meaning);
        }
    }
    section(&mut out, "Examples");
    for (what, example) in command.examples {
        let example = escaped(example);
        out.push_str(&format!(
            ".PP\n{}:\n.PP\n.RS 4\n.nf\n{example}\n.fi\n.RE\n",
            escaped(what)
        ));
    }
    let aliases: Vec<_> = aliases_of(path)
        .map(|(alias, options)| {
            let words = std::iter::once(&alias).chain(options).copied();
            bold(&words.collect::<Vec<_>>().join(", with "))
        })
        .collect();
    if !aliases.is_empty() {
        section(&mut out, "Aliases");
        out.push_str(&format!("{}\n", aliases.join("\n.br\n")));
    }
    section(&mut out, "See also");
    let above = path.split_once(' ').map(|(above, _)| above);
    out.push_str(&above.map_or("\\fBlauncher\\fR(1)".to_owned(), reference));
    out.push('\n');
    out
}

fn header(name: &str, summary: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (name, title) = (escaped(name), escaped(&name.to_uppercase()));
    format!(
        ".TH {title} 1 \"\" \"Nose Cone {version}\" \"User Commands\"\n\
         .ad l\n.nh\n.SH NAME\n{name} \\- {}\n",
        escaped(summary)
    )
}

fn section(out: &mut String, title: &str) {
    out.push_str(&format!(".SH {}\n", escaped(&title.to_uppercase())));
}

fn option(out: &mut String, option: &OptionSpec) {
    let repeats = if option.repeats { " (repeatable)" } else { "" };
    let help = format!("{}{repeats}", option.help);
    term(out, &bold(&signature(option)), &help);
}

fn term(out: &mut String, word: &str, meaning: &str) {
    out.push_str(&format!(".TP\n{word}\n"));
    line(out, meaning);
}

fn line(out: &mut String, text: &str) {
    out.push_str(&escaped(text));
    out.push('\n');
}

fn reference(path: &str) -> String {
    format!("{}(1)", bold(&page_name(path)))
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// Escapes text for roff, and makes words in backticks bold.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut is_code = false;
    for character in text.chars() {
        match character {
            '`' => {
                is_code = !is_code;
                out.push_str(if is_code { "\\fB" } else { "\\fR" });
            }
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '.' | '\'' if out.is_empty() => out.extend(["\\&", &character.to_string()]),
            character => out.push(character),
        }
    }
    out
}
