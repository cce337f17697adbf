//! Splits Rust code into tokens, as far as finding paths and items needs it.

/// A word, `::`, or another character that is not blank.
#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// The number of its line, from zero.
    pub(crate) line: usize,
}

/// Tells whether a token is a word.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits code whose comments and literals have been blanked.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (line, mut rest) in code.lines().enumerate() {
        rest = rest.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if rest.starts_with("::") {
                2
            } else {
                let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                word.unwrap_or(rest.len()).max(first.len_utf8())
            };
            let (text, left) = rest.split_at(length);
            found.push(Token { text, line });
            rest = left.trim_start();
        }
    }
    found
}

/// Leaves out attributes, and items that are for tests only.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut next = 0;
    while next < tokens.len() {
        if !is_attribute(tokens, next) {
            kept.push(tokens[next]);
            next += 1;
            continue;
        }
        let end = closing(tokens, next + 1);
        let has = |word| tokens[next..end].iter().any(|token| token.text == word);
        if has("cfg") && has("test") && !has("not") {
            next = end + 1;
            while is_attribute(tokens, next) {
                next = closing(tokens, next + 1) + 1;
            }
            let semicolon = until(tokens, next, ";");
            let brace = until(tokens, next, "{");
            next = semicolon.min(closing(tokens, brace)) + 1;
        } else {
            next = end + 1;
        }
    }
    kept
}

fn is_attribute(tokens: &[Token<'_>], at: usize) -> bool {
    matches!(tokens.get(at..), Some([hash, open, ..]) if hash.text == "#" && open.text == "[")
}

/// Finds the next `text` outside of brackets.
pub(crate) fn until(tokens: &[Token<'_>], from: usize, text: &str) -> usize {
    let mut next = from;
    while let Some(token) = tokens.get(next) {
        if token.text == text {
            return next;
        }
        if matches!(token.text, "{" | "(" | "[") {
            next = closing(tokens, next);
        }
        next += 1;
    }
    tokens.len()
}

/// Finds the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}
