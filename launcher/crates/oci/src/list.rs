//! Lists what there is, for a message that says what was not found.

use error::quote::quoted;

/// Most names that are listed.
const MOST: usize = 20;

/// Writes names one behind the other; of many, the first.
pub(crate) fn list(names: impl IntoIterator<Item = String>) -> String {
    let mut names = names.into_iter().map(|name| quoted(&name));
    let mut shown: Vec<String> = names.by_ref().take(MOST).collect();
    match names.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_first_are_listed() {
        let names = |count: usize| list((0..count).map(|number| number.to_string()));
        assert_eq!(names(2), "`0`, `1`");
        assert!(names(20).ends_with(", `19`"));
        assert!(names(23).ends_with(", `19`, and 3 more"));
    }
}
