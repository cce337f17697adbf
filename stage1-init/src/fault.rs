//! What can be wrong with a plan, and the message for it.

/// Why some bytes are not a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Position of the word at fault, counted from zero.
    pub word: usize,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What can be wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// There are more than [`crate::MAX_PLAN`] bytes.
    TooLong,
    /// The first word is not `plan`.
    NotAPlan,
    /// The second word is not [`crate::VERSION`].
    WrongVersion,
    /// The last word has no NUL byte.
    Unterminated,
    /// No directive has this name.
    UnknownDirective,
    /// The plan ends before the directive has all its operands.
    MissingOperand,
    /// An operand should be a number, but is not, or is out of range.
    NotANumber,
    /// An operand is none of the words allowed there.
    UnknownWord,
    /// A command has no words.
    EmptyCommand,
    /// The directive is not allowed here.
    Misplaced,
    /// The directive is given a second time, and is allowed once.
    Repeated,
    /// There are more than [`crate::MAX_APPS`] apps.
    TooManyApps,
    /// The plan has no app.
    NoApp,
    /// An app has no `main`.
    NoMain,
}

impl FaultKind {
    /// Returns a message for the user.
    pub const fn message(self) -> &'static str {
        match self {
            Self::TooLong => "the plan is longer than 4 MiB",
            Self::NotAPlan => "the first word must be `plan`",
            Self::WrongVersion => "the version must be 1",
            Self::Unterminated => "the word is not terminated",
            Self::UnknownDirective => "no such directive",
            Self::MissingOperand => "an operand is missing",
            Self::NotANumber => "not a number that can stand here",
            Self::UnknownWord => "not a word that can stand here",
            Self::EmptyCommand => "a command needs at least one word",
            Self::Misplaced => "the directive cannot stand here",
            Self::Repeated => "the directive is repeated",
            Self::TooManyApps => "there are more than 64 apps",
            Self::NoApp => "there is no `app`",
            Self::NoMain => "the app has no `main`",
        }
    }
}
