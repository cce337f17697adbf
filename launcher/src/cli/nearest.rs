//! Finds the word that somebody meant who misspelt it.

/// Returns the word that was probably meant: the only one with this prefix, or
/// else the nearest, if at most a third of its letters are wrong.
pub(super) fn nearest(
    typed: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let letters = typed.trim_start_matches('-').chars().count();
    let is_letter = |word: &&str| word.len() == 2 && word.starts_with('-');
    let known: Vec<_> = known.filter(|word| !is_letter(word)).collect();
    let mut longer = known.iter().filter(|word| word.starts_with(typed));
    if let (Some(only), None, 2..) = (longer.next(), longer.next(), letters) {
        return Some(only);
    }
    let most = letters.div_ceil(3).min(letters.saturating_sub(1));
    let near = known.iter().map(|word| {
        let longer = word.len().abs_diff(typed.len());
        (distance(typed, word), longer, *word)
    });
    let near = near.filter(|(distance, ..)| *distance <= most).min();
    near.map(|(.., word)| word)
}

/// Counts the letters that must be inserted, deleted or replaced to turn one
/// word into another. Swapping two neighbours counts once.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, another) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != another);
            let mut least = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *letter == other[column - 1] && one[row - 1] == *another {
                let swapped: &Vec<usize> = &before;
                least = least.min(swapped[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_misspelt_has_a_nearest_one() {
        let known = [
            "run",
            "rm",
            "run-prepared",
            "status",
            "stats",
            "--detach",
            "--detach-keys",
        ];
        for (typed, meant) in [
            ("rum", Some("run")),
            ("urn", Some("run")),
            ("statsu", Some("status")),
            ("run-p", Some("run-prepared")),
            ("--detatch", Some("--detach")),
            ("--detach-", Some("--detach-keys")),
            ("--detach", Some("--detach")),
            ("--detach-k", Some("--detach-keys")),
            ("fly", None),
            ("r", None),
            ("", None),
            ("-", None),
            ("--", None),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), meant, "{typed}");
        }
    }
}
