//! Command lines of pods, most of them wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::cli::table::spec::Group;

static COMMAND: CommandSpec = CommandSpec {
    name: "run",
    groups: &[
        &Group::new(
            "Pod",
            &[
                OptionSpec::value("--host", &[], "NAME", "host"),
                OptionSpec::flag("--loud", &["-l"], "loud"),
                OptionSpec::value("--both", &[], "NAME", "both").repeated(),
            ],
        ),
        &Group::of_app(
            "App",
            &[
                OptionSpec::value("--user", &["-s"], "NAME", "user"),
                OptionSpec::value("--set", &[], "NAME", "set").repeated(),
                OptionSpec::value("--both", &[], "NAME", "both").repeated(),
            ],
        ),
    ],
    ..CommandSpec::NEW
};

fn read_all(words: Vec<OsString>, dir: Option<&str>) -> Result<PodArgs> {
    let typed = Typed {
        dir: dir.map(PathBuf::from),
        command: "run".to_owned(),
        ..Typed::default()
    };
    PodArgs::read(words, &COMMAND, typed).map(|args| args.expect("no help is asked for"))
}

fn of(line: &str) -> Result<PodArgs> {
    let words = line.split(' ').filter(|word| !word.is_empty());
    read_all(words.map(OsString::from).collect(), None)
}

#[test]
fn a_line_that_is_wrong_is_refused_with_the_word_and_the_remedy() {
    let image = "an image is missing\nhint: give a file such as `hello.aci`, or a name such as `example.com/web:1.0.0`";
    let another = "an image is missing after `---`";
    for (line, message) in [
        ("-- x", image),
        ("--- a", image),
        ("--user 1", image),
        ("a ---", another),
        ("a -- x ---", another),
        ("a --- --user 1", another),
        ("a --- ---", another),
        (
            "a b",
            "unexpected argument `b`\nhint: arguments of the app go after `--`, another app goes after `---`",
        ),
        (
            "--what a",
            "there is no option `--what`\nhint: `launcher help run` lists all options",
        ),
        (
            "a -u",
            "there is no option `-u`\nhint: `launcher help run` lists all options",
        ),
        (
            "--no-such",
            "there is no option `--no-such`\nhint: `launcher help run` lists all options",
        ),
        (
            "--lood a",
            "there is no option `--lood`\nhint: did you mean `--loud`? `launcher help run` lists all options",
        ),
        ("--host", "`--host` needs a value"),
        ("a --user", "`--user` needs a value"),
        ("--host a --host b c", "`--host` is given twice"),
        ("--loud --loud a", "`--loud` is given twice"),
        ("a --user=1 --user=2", "`--user` is given twice"),
        (
            "--user 1 a",
            "`--user` is an app option: it goes after the image\nhint: `launcher run a --user=1`",
        ),
        (
            "a --host b --- c --loud -- x",
            "`--host` is a pod option: it goes before the first image\nhint: `launcher run --host=b --loud a --- c -- x`",
        ),
        (
            "--set=a b --set 2 -- c",
            "`--set` is an app option: it goes after the image\nhint: `launcher run b --set=a --set=2 -- c`",
        ),
    ] {
        assert_eq!(of(line).unwrap_err().to_string(), message, "{line}");
    }
}

#[test]
fn the_remedy_can_be_pasted_into_a_shell() {
    let words = ["--set", "it's me", "a b.aci", "--", "", "$HOME"];
    let words = words.iter().map(OsString::from).collect();
    let error = read_all(words, Some("/a b")).unwrap_err().to_string();
    assert_eq!(
        error.lines().nth(1).unwrap(),
        r"hint: `launcher --dir '/a b' run 'a b.aci' --set='it'\''s me' -- '' '$HOME'`"
    );
}

#[test]
fn truth_is_spelt_like_the_reference_implementation_does() {
    assert_eq!(
        of("--loud=yes a").unwrap_err().to_string(),
        "`--loud=yes` is neither `true` nor `false`"
    );
    for (line, loud) in [
        ("--loud a", true),
        ("--loud=T a", true),
        ("--loud=0 a", false),
        ("a", false),
    ] {
        assert_eq!(of(line).unwrap().pod.flag("--loud"), loud, "{line}");
    }
}

#[test]
fn each_app_has_what_stands_behind_its_image() {
    let mut args =
        of("--host h a --user 1 --both=x -- -- --user --- b --- c --set=p=q --set r --").unwrap();
    let show = |part: &mut AppArgs| {
        let user = part
            .options
            .value("--user", |text| Ok(text.to_owned()))
            .unwrap();
        let set = part
            .options
            .values("--set", |text| Ok(text.to_owned()))
            .unwrap();
        format!("{:?} {user:?} {set:?} {:?}", part.image, part.arguments)
    };
    let shown: Vec<_> = args.apps.iter_mut().map(show).collect();
    assert_eq!(
        shown,
        [
            r#""a" Some("1") [] Some(["--", "--user"])"#,
            r#""b" None [] None"#,
            r#""c" None ["p=q", "r"] Some([])"#,
        ]
    );
    assert_eq!(args.pod.any_of(&["--both"]), None);
    assert_eq!(args.apps[0].options.any_of(&["--both"]), Some("--both"));
}
