//! What can be wrong with a plan, and the message for it.

use crate::packed::{self, packed};

/// Why some bytes are not a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Position of the word at fault, counted from zero.
    pub word: usize,
    /// What is wrong with it.
    pub kind: FaultKind,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $message:literal,)*) => {
        /// What can be wrong with a plan.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FaultKind { $($(#[$doc])* $name,)* }

        packed!(MESSAGES: $($message),*);

        impl FaultKind {
            /// Returns a message for the user.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }

            /// Returns the same, from a smaller table.
            pub fn text(self) -> &'static [u8] {
                packed::words(MESSAGES).nth(self as usize).unwrap_or_default()
            }
        }
    };
}

kinds! {
    /// There are more than [`crate::MAX_PLAN`] bytes.
    TooLong: "the plan is longer than 4 MiB",
    /// The first word is not `plan`.
    NotAPlan: "the first word must be `plan`",
    /// The second word is not [`crate::VERSION`].
    WrongVersion: "the version must be 1",
    /// The last word has no NUL byte.
    Unterminated: "the word is not terminated",
    /// No directive has this name.
    UnknownDirective: "no such directive",
    /// The plan ends before the directive has all its operands.
    MissingOperand: "an operand is missing",
    /// An operand should be a number, but is not, or is out of range.
    NotANumber: "not a number that can stand here",
    /// An operand is none of the words allowed there.
    UnknownWord: "not a word that can stand here",
    /// A command has no words.
    EmptyCommand: "a command needs at least one word",
    /// The directive is not allowed here.
    Misplaced: "the directive cannot stand here",
    /// The directive is given a second time, and is allowed once.
    Repeated: "the directive is repeated",
    /// There are more than [`crate::MAX_APPS`] apps.
    TooManyApps: "there are more than 64 apps",
    /// An app before this one has the same name.
    SameName: "another app has this name",
    /// The plan has no app.
    NoApp: "there is no `app`",
    /// An app has no `main`.
    NoMain: "the app has no `main`",
}
