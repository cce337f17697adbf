//! Configurations that are refused, and what is read of the others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::user::Who;

const ROOTFS: &str = r#""rootfs":{"type":"layers","diff_ids":[]}"#;

fn run(config: &str) -> RunConfig {
    let text = format!(r#"{{{ROOTFS},"config":{config}}}"#);
    ImageConfig::read(text.as_bytes()).unwrap().run
}

fn fault(text: &str) -> String {
    ImageConfig::read(text.as_bytes()).unwrap_err().to_string()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn a_field_of_another_form_is_named() {
    for (config, said) in [
        (
            r#"{"User":"a:b:c"}"#,
            "field `config.User`: `a:b:c` is not a user: it has two colons",
        ),
        (
            r#"{"User":7}"#,
            "field `config.User`: expected text, found `7`",
        ),
        (r#"{"Env":{}}"#, "field `config.Env`: expected a list"),
        (
            r#"{"Env":["A=\u0000"]}"#,
            "field `config.Env[0]`: `A=\\u{0}` contains a NUL",
        ),
        (
            r#"{"Cmd":"sh"}"#,
            "field `config.Cmd`: expected a list, found `sh`",
        ),
        (
            r#"{"Entrypoint":[null]}"#,
            "field `config.Entrypoint[0]`: expected text",
        ),
        (
            r#"{"Volumes":["/data"]}"#,
            "field `config.Volumes`: expected an object",
        ),
        (
            r#"{"Volumes":{"":{}}}"#,
            "field `config.Volumes.`: the path is empty",
        ),
        (
            r#"{"ExposedPorts":{"x":{}}}"#,
            "field `config.ExposedPorts.x`: `x` is not a port",
        ),
        (
            r#"{"Labels":{"a":1}}"#,
            "field `config.Labels.a`: expected text",
        ),
        (
            r#"{"Healthcheck":{"Test":["CMD"]}}"#,
            "field `config.Healthcheck.Test`: it is neither `NONE`",
        ),
        (
            r#"{"Healthcheck":{"Test":["curl","x"]}}"#,
            "field `config.Healthcheck.Test`: it is neither `NONE`",
        ),
        (
            r#"{"Healthcheck":{"Interval":"30s"}}"#,
            "field `config.Healthcheck.Interval`: expected a whole number",
        ),
        ("[]", "field `config`: expected an object"),
    ] {
        let found = fault(&format!(r#"{{{ROOTFS},"config":{config}}}"#));
        assert!(found.starts_with(said), "{found}");
    }
}

#[test]
fn a_root_file_system_that_is_not_made_of_layers_is_refused() {
    for (text, said) in [
        ("{}", "field `rootfs` is missing"),
        (
            r#"{"rootfs":{"type":"zip"}}"#,
            "field `rootfs`: its `type` is not `layers`",
        ),
        (
            r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#,
            "field `rootfs.diff_ids[0]`: `sha256:x` is not a digest",
        ),
    ] {
        let found = fault(text);
        assert!(found.starts_with(said), "{found}");
    }
    let large = " ".repeat(LIMIT + 1);
    assert_eq!(fault(&large), "it is larger than 8388608 bytes");
}

#[test]
fn another_number_of_layers_is_refused() {
    let hex = "0c".repeat(32);
    let text = format!(r#"{{"rootfs":{{"diff_ids":["sha256:{hex}"]}}}}"#);
    let config = ImageConfig::read(text.as_bytes()).unwrap();
    config.check_layers(1).unwrap();
    let error = config.check_layers(2).unwrap_err().to_string();
    assert_eq!(error, "the manifest has 2 layers, but the configuration 1");
    config.check_layers(0).unwrap_err();
}

#[test]
fn an_image_that_says_nothing_runs_nothing_as_root() {
    for text in [
        format!("{{{ROOTFS}}}"),
        format!(r#"{{{ROOTFS},"config":null,"history":null,"architecture":null,"new":1}}"#),
        format!(r#"{{{ROOTFS},"config":{{}}}}"#),
        format!(
            r#"{{{ROOTFS},"config":{{"User":null,"Env":null,"Entrypoint":null,"Cmd":null,
                "WorkingDir":null,"Volumes":null,"ExposedPorts":null,"StopSignal":null,
                "Labels":null,"Healthcheck":null,"Shell":null,"OnBuild":null}}}}"#
        ),
        format!(r#"{{{ROOTFS},"config":{{"User":"","WorkingDir":"","StopSignal":""}}}}"#),
    ] {
        let config = ImageConfig::read(text.as_bytes()).unwrap();
        let nothing = ImageConfig {
            run: RunConfig::new(),
            ..ImageConfig::default()
        };
        assert_eq!(config, nothing, "{text}");
        let error = config.run.argv(None, &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the image does not say what to run\nhint: give a program after the image"
        );
    }
}

#[test]
fn all_that_an_image_says_is_read() {
    let hex = "0c".repeat(32);
    let text = format!(
        r#"{{"architecture":"arm64","os":"linux","variant":"v8","created":"2024-05-14T23:11:14Z",
            "author":"me","rootfs":{{"type":"layers","diff_ids":["sha256:{hex}"]}},
            "history":[{{"created":"x","created_by":"y","comment":"z","author":"a",
            "empty_layer":true}},{{}}],
            "config":{{"User":"app:100","Env":["A=1","PATH=/bin","B","=c","A=2=3"],
            "Entrypoint":["/init"],"Cmd":["-v"],"WorkingDir":"srv","Volumes":{{"/data":{{}},
            "tmp":null}},"ExposedPorts":{{"53/udp":{{}},"80":null}},"StopSignal":"SIGRTMIN+3",
            "Labels":{{"a":"b"}},"Shell":["/bin/ash","-c"],
            "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":30000000000,"Timeout":1,
            "StartPeriod":0,"StartInterval":2,"Retries":3}}}}}}"#
    );
    let config = ImageConfig::read(text.as_bytes()).unwrap();
    assert_eq!(
        config
            .platform
            .map(|platform| platform.to_string())
            .as_deref(),
        Some("linux/arm64")
    );
    assert_eq!(config.created.as_deref(), Some("2024-05-14T23:11:14Z"));
    assert_eq!(config.author.as_deref(), Some("me"));
    assert_eq!(config.diff_ids[0].hex(), hex);
    let some = |text: &str| Some(text.to_owned());
    let step = Step {
        created: some("x"),
        created_by: some("y"),
        author: some("a"),
        comment: some("z"),
        empty_layer: true,
    };
    assert_eq!(config.history, [step, Step::default()]);
    let run = config.run;
    assert_eq!(run.user.user, Who::Name("app".into()));
    assert_eq!(run.user.group, Some(Who::Id(100)));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(run.env, [pair("A", "2=3"), pair("PATH", "/bin")]);
    assert_eq!(run.working_dir, "/srv");
    assert!(run.volumes.iter().eq(["/data", "/tmp"]));
    let ports: Vec<String> = run.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["53/udp", "80"]);
    assert_eq!(run.stop_signal.as_deref(), Some("SIGRTMIN+3"));
    assert_eq!(run.labels, BTreeMap::from([pair("a", "b")]));
    assert_eq!(run.shell, ["/bin/ash", "-c"]);
    let check = Healthcheck {
        probe: Probe::Shell("true".into()),
        interval: Some(30_000_000_000),
        timeout: Some(1),
        start_period: None,
        start_interval: Some(2),
        retries: Some(3),
    };
    assert_eq!(run.healthcheck, Some(check));
}

#[test]
fn a_health_check_can_be_switched_off_or_be_a_program() {
    for (test, probe) in [
        ("[]", Probe::Inherited),
        (r#"["NONE"]"#, Probe::Disabled),
        (
            r#"["CMD","curl","x"]"#,
            Probe::Command(words(&["curl", "x"])),
        ),
    ] {
        let run = run(&format!(r#"{{"Healthcheck":{{"Test":{test}}}}}"#));
        assert_eq!(run.healthcheck.unwrap().probe, probe, "{test}");
    }
}

#[test]
fn arguments_replace_the_command_and_an_entrypoint_both() {
    let both = run(r#"{"Entrypoint":["/init","-q"],"Cmd":["serve"]}"#);
    let cmd = run(r#"{"Cmd":["sh","-c","x"]}"#);
    for (image, entrypoint, arguments, expected) in [
        (&both, None, &[][..], &["/init", "-q", "serve"][..]),
        (
            &both,
            None,
            &["check", "it"],
            &["/init", "-q", "check", "it"],
        ),
        (&both, Some("/bin/sh"), &[], &["/bin/sh"]),
        (
            &both,
            Some("/bin/sh"),
            &["-c", "x"],
            &["/bin/sh", "-c", "x"],
        ),
        (&both, Some(""), &["ls"], &["ls"]),
        (&cmd, None, &[], &["sh", "-c", "x"]),
        (&cmd, None, &["ls"], &["ls"]),
        (&cmd, Some("env"), &[], &["env"]),
    ] {
        let argv = image.argv(entrypoint, &words(arguments)).unwrap();
        assert_eq!(argv, expected, "{entrypoint:?} {arguments:?}");
    }
    // An empty entrypoint leaves nothing of the image's.
    both.argv(Some(""), &[]).unwrap_err();
    run(r#"{"Cmd":[""]}"#).argv(None, &[]).unwrap_err();
}

#[test]
fn a_chain_id_covers_all_layers_below() {
    let hex = |byte: &str| byte.repeat(32);
    let (a, b, c) = (hex("0a"), hex("0b"), hex("0c"));
    let text = format!(r#"{{"rootfs":{{"diff_ids":["sha256:{a}","sha256:{b}","sha256:{c}"]}}}}"#);
    let config = ImageConfig::read(text.as_bytes()).unwrap();
    // Shows what is hashed: two digests with a blank between them.
    let sha256 = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap();
        let (below, diff_id) = text.split_once(' ').unwrap();
        let mut hash = [0; 32];
        hash[0] = if diff_id == format!("sha256:{b}") {
            1
        } else {
            2
        };
        hash[1] = u8::from(below == format!("sha256:{a}"));
        hash
    };
    let chain: Vec<String> = config
        .chain_ids(sha256)
        .iter()
        .map(ToString::to_string)
        .collect();
    let zeros = "00".repeat(30);
    let expected = [
        format!("sha256:{a}"),
        format!("sha256:0101{zeros}"),
        format!("sha256:0200{zeros}"),
    ];
    assert_eq!(chain, expected);
    assert_eq!(ImageConfig::default().chain_ids(sha256), []);
}
