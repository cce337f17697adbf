//! A command line that options and arguments are taken out of, one by one.
//!
//! The only file that knows pico-args.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use pico_args::Arguments;

use error::{Error, Result};

/// How the ancestor spelled options that there are still.
const ANCESTRAL: [(&str, &str); 1] = [("-nodeps", "--no-deps")];

/// What is left of a command line.
pub(super) struct Line {
    options: Arguments,
    rest: Option<Vec<OsString>>,
}

impl Line {
    /// Takes the arguments, without the program's name.
    pub(super) fn new(mut arguments: Vec<OsString>) -> Self {
        // What follows `--` is the app's, whatever it looks like.
        let rest = arguments
            .iter()
            .position(|argument| argument == "--")
            .map(|at| arguments.split_off(at).into_iter().skip(1).collect());
        Self::with_rest(arguments, rest)
    }

    /// The same, if not only what follows `--` is somebody else's, but all from
    /// this place on.
    pub(super) fn until(at: usize, mut arguments: Vec<OsString>) -> Self {
        let rest = arguments.split_off(at);
        Self::with_rest(arguments, Some(rest))
    }

    fn with_rest(mut arguments: Vec<OsString>, rest: Option<Vec<OsString>>) -> Self {
        for argument in &mut arguments {
            let modern = ANCESTRAL.iter().find(|(old, _)| argument == old);
            if let Some((_, modern)) = modern {
                *argument = OsString::from(modern);
            }
        }
        Self {
            options: Arguments::from_vec(arguments),
            rest,
        }
    }

    /// Takes the first argument, if it is no option.
    pub(super) fn verb(&mut self) -> Result<Option<String>> {
        self.options.subcommand().map_err(misused)
    }

    /// Takes an option without a value; tells whether it was there.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.options.contains(name)
    }

    /// Takes an option, and reads its value.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        let value: Option<String> = self.options.opt_value_from_str(name).map_err(misused)?;
        value.map(|value| read(&value)).transpose()
    }

    /// Takes an option whose value is a path.
    pub(super) fn path(&mut self, name: &'static str) -> Result<Option<PathBuf>> {
        let value = self.options.opt_value_from_os_str(name, path);
        match value.map_err(misused)? {
            // pico-args takes `--name=PATH` apart only where it is UTF-8.
            None => self.options.opt_value_from_str(name).map_err(misused),
            value => Ok(value),
        }
    }

    /// Takes all values of an option that may be repeated, as paths.
    pub(super) fn paths(&mut self, name: &'static str) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        while let Some(path) = self.path(name)? {
            paths.push(path);
        }
        Ok(paths)
    }

    /// Takes the next argument that is no option. Options are taken before.
    pub(super) fn argument(&mut self) -> Result<Option<PathBuf>> {
        match self.options.opt_free_from_os_str(path).map_err(misused)? {
            // A lone dash stands for the standard input.
            Some(option)
                if option.as_os_str() != "-"
                    && option.as_os_str().as_encoded_bytes().starts_with(b"-") =>
            {
                Err(unknown_option(&option.to_string_lossy()))
            }
            argument => Ok(argument),
        }
    }

    /// Takes the next argument that is no option, as text.
    pub(super) fn word(&mut self) -> Result<Option<String>> {
        let word = self.argument()?.map(|word| word.into_os_string());
        word.map(text).transpose()
    }

    /// Takes the next argument, if it is a word that `fits`.
    pub(super) fn word_if(&mut self, fits: impl Fn(&str) -> bool) -> Result<Option<String>> {
        let next = self.options.clone().finish();
        match next.first().and_then(|next| next.to_str()) {
            Some(next) if fits(next) => self.word(),
            _ => Ok(None),
        }
    }

    /// Takes all arguments that are left, as text.
    pub(super) fn words(&mut self) -> Result<Vec<String>> {
        let mut words = Vec::new();
        while let Some(word) = self.word()? {
            words.push(word);
        }
        Ok(words)
    }

    /// Takes what comes after `--`.
    pub(super) fn rest(&mut self) -> Vec<OsString> {
        self.rest.take().unwrap_or_default()
    }

    /// Takes all that is left, as it is.
    pub(super) fn all(&mut self) -> Vec<OsString> {
        let options = std::mem::replace(&mut self.options, Arguments::from_vec(Vec::new()));
        let mut words = options.finish();
        if let Some(rest) = self.rest.take() {
            words.push("--".into());
            words.extend(rest);
        }
        words
    }

    /// Ends the command line.
    ///
    /// # Errors
    ///
    /// Something is left of it that nobody took.
    pub(super) fn finish(self) -> Result<()> {
        match self.options.finish().first() {
            Some(surplus) => Err(surplus_argument(&surplus.to_string_lossy())),
            None => Ok(()),
        }
    }
}

/// Makes text of an argument.
pub(super) fn text(word: OsString) -> Result<String> {
    word.into_string().map_err(|word| {
        Error::usage(format!(
            "the argument `{}` is not UTF-8 text",
            word.to_string_lossy()
        ))
    })
}

fn path(text: &OsStr) -> std::result::Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}

fn surplus_argument(argument: &str) -> Error {
    if argument.starts_with('-') {
        return unknown_option(argument);
    }
    Error::usage(format!("`{argument}` is one argument too many"))
}

/// The error for an option that there is not.
pub(super) fn unknown_option(option: &str) -> Error {
    Error::usage(format!("there is no option `{option}`"))
        .hint("`launcher help COMMAND` lists the options of a command")
}

/// The error for two options of which only one can be meant.
pub(super) fn excluded(one: &str, other: &str) -> Error {
    Error::usage(format!("`{one}` and `{other}` exclude each other"))
}

/// Says in our words what pico-args found wrong.
fn misused(error: pico_args::Error) -> Error {
    use pico_args::Error as Misused;
    match error {
        Misused::OptionWithoutAValue(name) => Error::usage(format!("`{name}` needs a value")),
        Misused::MissingArgument => Error::usage("an argument is missing"),
        Misused::NonUtf8Argument => Error::usage("an argument is not UTF-8 text"),
        Misused::Utf8ArgumentParsingFailed { value, cause } => {
            Error::usage(format!("`{value}`: {cause}"))
        }
        other => Error::usage(other.to_string()),
    }
}
