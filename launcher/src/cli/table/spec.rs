//! What the table of commands is made of.

/// A command: how it is written, and what its help says.
#[derive(Debug)]
pub(crate) struct CommandSpec {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, in a few words, such as `runs images`.
    pub(crate) summary: &'static str,
    /// What may follow the name, a line for each form.
    pub(crate) usage: &'static [&'static str],
    /// Paragraphs, with an empty line between them.
    pub(crate) about: &'static str,
    /// Its options, but for those that every command has.
    pub(crate) groups: &'static [&'static Group],
    /// Explanations of words: a title, and each word with what it means.
    pub(crate) terms: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    /// What one may want, and the line that does it.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// What stands behind its options.
    pub(crate) operands: Operands,
    /// Commands below this one.
    pub(crate) commands: &'static [CommandSpec],
    /// Nobody types it: no list shows it.
    pub(crate) hidden: bool,
    /// It exits with the status of an app.
    pub(crate) runs: bool,
}

impl CommandSpec {
    /// A command that takes nothing.
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

    /// A command that nobody types.
    pub(crate) const HIDDEN: Self = Self {
        hidden: true,
        ..Self::NEW
    };

    /// Returns its options in one place.
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

    /// Returns the options that people type, in all places.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &'static OptionSpec> {
        let groups = self.groups.iter().filter(|group| !group.title.is_empty());
        groups.flat_map(|group| self.options_of(group))
    }
}

/// What stands behind the options of a command, as far as a shell can complete it.
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
    /// What they are about; without a title they are not shown.
    pub(crate) title: &'static str,
    /// Where they stand.
    pub(crate) place: Place,
    /// The options.
    pub(crate) options: &'static [OptionSpec],
}

impl Group {
    /// Options that stand anywhere, or, of a pod, before its first image.
    pub(crate) const fn new(title: &'static str, options: &'static [OptionSpec]) -> Self {
        Self {
            title,
            place: Place::Command,
            options,
        }
    }

    /// Options of an app, which stand behind its image.
    pub(crate) const fn of_app(title: &'static str, options: &'static [OptionSpec]) -> Self {
        Self {
            title,
            place: Place::App,
            options,
        }
    }
}

/// What an option is about, and so where it stands.
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
    /// It may be given several times.
    pub(crate) repeats: bool,
    /// The commands that have it, if not all that have its group.
    pub(crate) only: &'static [&'static str],
    /// What it does.
    pub(crate) help: &'static str,
}

/// Whether an option has a value, and how help calls it. `a|b` are all values
/// that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// No value, or `=true` or `=false`.
    Nothing,
    /// A value.
    Value(&'static str),
    /// A value behind `=`, or none.
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

    /// An option that can have a value.
    pub(crate) const fn perhaps(
        name: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        let mut option = Self::flag(name, &[], help);
        option.takes = Takes::Perhaps(value);
        option
    }

    /// The same, if it may be given several times.
    pub(crate) const fn repeated(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// The same, if only these commands have it.
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

    /// Tells whether it can be spelt so.
    pub(crate) fn is_spelt(&self, name: &str) -> bool {
        self.name == name || self.also.contains(&name)
    }
    /// Returns what a shell can complete its value with.
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

/// What a shell knows of the value of an option that is the next word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// There is none: the next word is something else.
    None,
    /// It is a file.
    Files,
    /// It is one of these words, with bars between them.
    Words(&'static str),
    /// Nothing.
    Any,
}
