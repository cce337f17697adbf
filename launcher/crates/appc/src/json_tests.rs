//! Reading JSON: what is refused and where, what is kept, what is noted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn value(text: &str) -> Value {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn what_is_no_json_is_refused_with_its_position() {
    for (text, expected) in [
        ("", "the text is empty"),
        (" \n", "the text is empty"),
        (
            "{\"name\": \"ab",
            "line 1, column 12 is not JSON: the text ends in the middle of a string, in \
             `{\"name\": \"ab`",
        ),
        (
            "{\n  \"name\": \"a\"\n  \"b\": 1\n}",
            "line 3, column 3 is not JSON: expected `,` or `}`, in `\"b\": 1`",
        ),
        (
            "asdf",
            "line 1, column 1 is not JSON: expected value, in `asdf`",
        ),
        (
            "{} x",
            "line 1, column 4 is not JSON: trailing characters, in `{} x`",
        ),
        (
            "\u{feff}{}",
            "line 1, column 1 is not JSON: the text starts with a byte order mark",
        ),
        (
            "[\"\x1b[2J\"]",
            "line 1, column 3 is not JSON: control character (\\u0000-\\u001F) found while \
             parsing a string, in `[\"\\u{1b}[2J\"]`",
        ),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), expected);
    }
    for text in [
        "{\"a\":1,}",
        "{'a':1}",
        "[1 2]",
        "01",
        "+1",
        ".5",
        "0x10",
        "nul",
        "\"\\q\"",
        "NaN",
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn what_is_not_utf_8_is_refused_with_its_position() {
    for (text, expected) in [
        (
            &b"\"\xff\""[..],
            "line 1, column 2 is not JSON: the byte 0xff is not UTF-8, in `\"\u{fffd}\"`",
        ),
        (
            b"{\n\"a\": \"caf\xe9\"}",
            "line 2, column 10 is not JSON: the byte 0xe9 is not UTF-8, in `\"a\": \"caf\u{fffd}\"}`",
        ),
        (
            b"\xff\xfe{\0}\0",
            "the text is UTF-16, but JSON is UTF-8\n\
             hint: `iconv -f UTF-16 -t UTF-8` converts it",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_fault_far_into_a_long_line_is_shown() {
    let text = format!("[{}x", "1,".repeat(5_000));
    let error = parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("line 1, column 10002 is not JSON: expected value, in `"));
    assert!(error.ends_with("1,x`"), "{error}");
}

#[test]
fn depth_is_bounded() {
    for open in ["[", "{\"a\":"] {
        assert!(parse(open.repeat(100_000).as_bytes()).is_err());
    }
}

#[test]
fn blanks_around_the_document_are_fine() {
    assert_eq!(value(" \r\n\t{} \n\n"), Value::Object(Vec::new()));
}

#[test]
fn what_was_read_is_written_in_its_order() {
    for text in [
        r#"{"b":1,"a":[true,false,null],"b":{"z":"\u0000\"","y":-2},"c":0.5}"#,
        r#"[18446744073709551615,-9223372036854775808]"#,
        r#""é\n""#,
    ] {
        assert_eq!(value(text).to_string(), text);
    }
    let pretty = format!("{:#}", value(r#"{"a":[1]}"#));
    assert_eq!(pretty, "{\n  \"a\": [\n    1\n  ]\n}");
}

/// Takes `a` as a number and leaves the rest.
fn take(text: &str) -> (Result<Option<u16>>, Vec<String>) {
    let document = value(text);
    let warnings = Warnings::default();
    let node = Node::root(&document, &warnings);
    let taken = node.fields().and_then(|mut fields| {
        let number = fields.optional("a", |node| node.integer(1, u16::MAX))?;
        fields.finish();
        Ok(number)
    });
    (taken, warnings.into_vec())
}

#[test]
fn numbers_are_whole_and_within_their_range() {
    for text in [
        "0",
        "65536",
        "-1",
        "1.0",
        "1e3",
        "\"80\"",
        "true",
        "[1]",
        "{}",
        "18446744073709551616",
    ] {
        let (taken, _) = take(&format!("{{\"a\":{text}}}"));
        let error = taken.unwrap_err().to_string();
        assert!(
            error.starts_with("field `a`: expected a whole number from 1 to 65535, found "),
            "{error}"
        );
    }
}

#[test]
fn absent_and_null_are_the_same() {
    for text in ["{}", "{\"a\":null}"] {
        let (taken, warnings) = take(text);
        assert_eq!((taken.unwrap(), warnings.len()), (None, 0));
    }
}

#[test]
fn what_is_odd_is_noted_and_still_read() {
    for (text, expected, warning) in [
        (
            "{\"A\":7}",
            Some(7),
            "field `A` is read as `a`; field names are case-sensitive",
        ),
        ("{\"b\":1}", None, "field `b` is unknown and ignored"),
        (
            "{\"a\":7,\"a\":8}",
            Some(8),
            "field `a` is given more than once; the last one is used",
        ),
    ] {
        let (taken, warnings) = take(text);
        assert_eq!(taken.unwrap(), expected);
        assert_eq!(warnings, [warning]);
    }
}

#[test]
fn every_occurrence_of_a_repeated_field_is_checked() {
    let (taken, _) = take("{\"a\":\"x\",\"a\":8}");
    assert!(taken.is_err());
}

#[test]
fn a_nul_character_goes_nowhere() {
    let document = value(r#""a\u0000b""#);
    let warnings = Warnings::default();
    let error = Node::root(&document, &warnings).text().unwrap_err();
    assert_eq!(error.to_string(), r"`a\u{0}b` contains a NUL character");
}
