//! The types of the table of commands.

/// A command: its syntax and its help.
#[derive(Debug)]
pub(crate) struct CommandSpec {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, in a few words, such as `runs images`.
    pub(crate) summary: &'static str,
    /// What may follow the name, one line for each form.
    pub(crate) usage: &'static [&'static str],
    /// Paragraphs, with an empty line between them.
    pub(crate) about: &'static str,
    /// Its options, without the global ones.
    pub(crate) groups: &'static [&'static Group],
    /// Explanations of words: a title, and each word with its meaning.
    pub(crate) terms: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    /// A purpose, and the command line for it.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// What follows its options.
    pub(crate) operands: Operands,
    /// Its subcommands.
    pub(crate) commands: &'static [CommandSpec],
    /// It is internal: help does not list it.
    pub(crate) hidden: bool,
    /// It exits with the status of an app.
    pub(crate) runs: bool,
}

impl CommandSpec {
    /// A command without arguments.
    pub(crate) const NEW: Self = Self {
        name: "",
        summary: "",
        usage: &[""],
        about: "",
        groups: &[],
        terms: &[],
        examples: &[],
        operands: Operands::None,
        commands: &[],
        hidden: false,
        runs: false,
    };

    /// An internal command.
    pub(crate) const HIDDEN: Self = Self {
        hidden: true,
        ..Self::NEW
    };

    /// Returns its options for one position.
    pub(crate) fn options(&self, place: Place) -> impl Iterator<Item = &'static OptionSpec> {
        let groups = self.groups.iter().filter(move |group| group.place == place);
        groups.flat_map(|group| self.options_of(group))
    }

    /// Returns those options of a group that this command has.
    pub(crate) fn options_of(
        &self,
        group: &'static Group,
    ) -> impl Iterator<Item = &'static OptionSpec> {
        let name = self.name;
        let all = group.options.iter();
        all.filter(move |option| option.only.is_empty() || option.only.contains(&name))
    }

    /// Returns all its options, without internal ones.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &'static OptionSpec> {
        let groups = self.groups.iter().filter(|group| !group.title.is_empty());
        groups.flat_map(|group| self.options_of(group))
    }
}

/// What follows the options of a command, as far as a shell can complete it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operands {
    /// Nothing.
    None,
    /// Names of commands.
    Commands,
    /// Files.
    Files,
    /// Images, in the store or in files.
    Images,
    /// Pods.
    Pods,
    /// Names of shells.
    Shells,
}

/// Options that help shows together.
#[derive(Debug)]
pub(crate) struct Group {
    /// The title; without one, the options are internal.
    pub(crate) title: &'static str,
    /// Their position.
    pub(crate) place: Place,
    /// The options.
    pub(crate) options: &'static [OptionSpec],
}

impl Group {
    /// Options of a command. Those of a pod go before its first image.
    pub(crate) const fn new(title: &'static str, options: &'static [OptionSpec]) -> Self {
        Self {
            title,
            place: Place::Command,
            options,
        }
    }

    /// Options of an app, which go after its image.
    pub(crate) const fn of_app(title: &'static str, options: &'static [OptionSpec]) -> Self {
        Self {
            title,
            place: Place::App,
            options,
        }
    }
}

/// What an option applies to, and so where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The command, or the pod.
    Command,
    /// The image before it.
    App,
}

/// An option.
#[derive(Debug)]
pub(crate) struct OptionSpec {
    /// Its name, with its dashes.
    pub(crate) name: &'static str,
    /// Other spellings: letters such as `-d`, and names.
    pub(crate) also: &'static [&'static str],
    /// What it takes.
    pub(crate) takes: Takes,
    /// Whether it may be given several times.
    pub(crate) repeats: bool,
    /// Whether its value may be empty.
    pub(crate) empty: bool,
    /// The commands that have it, if not all that have its group.
    pub(crate) only: &'static [&'static str],
    /// What it does.
    pub(crate) help: &'static str,
}

/// Whether an option has a value, and its name in help. `a|b` lists all
/// possible values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// No value, or `=true` or `=false`.
    Nothing,
    /// A value.
    Value(&'static str),
    /// A value after `=`, or none.
    Perhaps(&'static str),
}

impl OptionSpec {
    /// An option without a value.
    pub(crate) const fn flag(
        name: &'static str,
        also: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            also,
            takes: Takes::Nothing,
            repeats: false,
            empty: false,
            only: &[],
            help,
        }
    }

    /// An option with a value.
    pub(crate) const fn value(
        name: &'static str,
        also: &'static [&'static str],
        value: &'static str,
        help: &'static str,
    ) -> Self {
        let mut option = Self::flag(name, also, help);
        option.takes = Takes::Value(value);
        option
    }

    /// An option with an optional value.
    pub(crate) const fn perhaps(
        name: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        let mut option = Self::flag(name, &[], help);
        option.takes = Takes::Perhaps(value);
        option
    }

    /// Allows the option to be given several times.
    pub(crate) const fn repeated(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// Allows its value to be empty.
    pub(crate) const fn perhaps_empty(mut self) -> Self {
        self.empty = true;
        self
    }

    /// Limits the option to these commands.
    pub(crate) const fn only(mut self, commands: &'static [&'static str]) -> Self {
        self.only = commands;
        self
    }

    /// Returns all its spellings, letters first.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = &'static str> {
        let is_letter = |name: &&'static str| name.len() == 2;
        let all = || std::iter::once(self.name).chain(self.also.iter().copied());
        let letters = all().filter(is_letter);
        letters.chain(all().filter(move |name| !is_letter(name)))
    }

    /// Returns whether this is one of its spellings.
    pub(crate) fn is_spelt(&self, name: &str) -> bool {
        self.name == name || self.also.contains(&name)
    }
    /// Returns how a shell can complete its value.
    pub(crate) fn values(&self) -> Values {
        match self.takes {
            Takes::Nothing | Takes::Perhaps(_) => Values::None,
            Takes::Value("FILE" | "DIRECTORY" | "PATH" | "VOLUME") => Values::Files,
            Takes::Value(words) if words.contains('|') && !words.contains('=') => {
                Values::Words(words)
            }
            Takes::Value(_) => Values::Any,
        }
    }
}

/// How a shell can complete the value of an option, if it is the next word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// There is no such value: the next word is something else.
    None,
    /// It is a file.
    Files,
    /// One of these words, separated by bars.
    Words(&'static str),
    /// Nothing.
    Any,
}
