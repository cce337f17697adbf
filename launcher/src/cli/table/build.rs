//! The command `image build`.

use super::archives::{INSECURE, OVERWRITE};
use super::spec::{CommandSpec, Group, Operands, OptionSpec};

/// Makes an image.
pub(crate) const BUILD: CommandSpec = CommandSpec {
    name: "build",
    summary: "makes an image from a directory or a tar",
    usage: &[
        "--name=NAME [OPTIONS] DIRECTORY|TAR -- COMMAND [ARGUMENT...]",
        "--manifest=FILE [OPTIONS] DIRECTORY|TAR",
        "--format=oci --name=NAME [OPTIONS] DIRECTORY|TAR [-- ARGUMENT...]",
    ],
    about: "\
Makes an image whose root file system is a directory, or the contents of a tar (also \
compressed, as fetch accepts it; `-` is standard input). Stores the image, or writes it to a \
file, and prints its ID.

An image is complete or not there at all, and is checked as by validate before it is. The \
same files give the same image, byte for byte. Sockets are left out, and so is what is \
mounted below the directory.

The image gets the labels `os` and `arch` of this host, unless its name says otherwise. What \
has no option, such as ports, mount points and isolators, can be in a manifest.

With --format=oci, --from or a scheme of --output, it is an OCI image: one layer, or, with \
--from, one more upon those of a stored image, whose other properties it has. A file that \
the layer has counts, one that it lacks stays.",
    groups: &[
        &OF_OCI,
        &Group::new(
            "Options",
            &[
                OptionSpec::value(
                    "--name",
                    &[],
                    "NAME[:VERSION][,LABEL=VALUE...]",
                    "the image's name, version and other labels",
                ),
                OptionSpec::value(
                    "--manifest",
                    &[],
                    "FILE",
                    "use this image manifest instead of a name, a command and their options",
                ),
                OptionSpec::value(
                    "--output",
                    &["-o"],
                    "FILE|DESTINATION",
                    "write the image to this file (gzip) instead of storing it, or, of an OCI image, \
                 to `oci:DIRECTORY[:NAME]`, `oci-archive:FILE` or `docker-archive:FILE`",
                ),
                OVERWRITE,
                OptionSpec::value(
                    "--user",
                    &["-u"],
                    "USER[:GROUP]",
                    "the app's user: a name or number in the image, or a path whose owner it is \
                 (default: 0)",
                ),
                OptionSpec::value(
                    "--group",
                    &[],
                    "GROUP",
                    "the app's group (default: what --user says, or 0)",
                ),
                OptionSpec::value(
                    "--working-dir",
                    &["-w"],
                    "PATH",
                    "the app's working directory (default: /)",
                ),
                OptionSpec::value(
                    "--environment",
                    &["-e"],
                    "NAME=VALUE",
                    "set a variable of the app",
                )
                .repeated(),
                OptionSpec::value(
                    "--owner",
                    &[],
                    "UID:GID",
                    "let all files belong to this user and group (default: their owners)",
                ),
                INSECURE,
            ],
        ),
    ],
    terms: &[(
        "Environment",
        &[(
            "SOURCE_DATE_EPOCH",
            "seconds since 1970; files that were modified later count as modified then",
        )],
    )],
    examples: &[
        (
            "Store an image of a directory, and run it",
            "launcher image build --name=example.com/web:1.0.0 ./root -- /bin/web --port=80\n\
             launcher run example.com/web",
        ),
        (
            "Add a file to an image of a registry, and push it",
            "launcher image build --from=debian:12 --name=localhost:5000/web:1 ./root -- /bin/web\n\
             launcher image push localhost:5000/web:1",
        ),
        (
            "Write an image of a tar, such as one of `docker export`",
            "launcher image build --name=example.com/web -o web.aci web.tar -- /bin/web",
        ),
    ],
    operands: Operands::Files,
    ..CommandSpec::NEW
};

/// Options of OCI images.
const OF_OCI: Group = Group::new(
    "OCI images",
    &[
        OptionSpec::value(
            "--format",
            &[],
            "aci|oci",
            "make an App Container image or an OCI image (default: aci)",
        ),
        OptionSpec::value(
            "--from",
            &[],
            "IMAGE",
            "add a layer to this stored image, and change what other options say",
        ),
        OptionSpec::value(
            "--entrypoint",
            &[],
            "PROGRAM",
            "the program; what follows `--` are its arguments, or the program if there is no \
             entrypoint",
        ),
        OptionSpec::value(
            "--volume",
            &[],
            "PATH",
            "a directory that is not part of the image",
        )
        .repeated(),
        OptionSpec::value(
            "--port",
            &[],
            "PORT[/tcp|/udp]",
            "a port that the app listens on",
        )
        .repeated(),
        OptionSpec::value("--label", &[], "NAME=VALUE", "a label").repeated(),
        OptionSpec::value(
            "--stop-signal",
            &[],
            "SIGNAL",
            "the signal that stops the app",
        ),
        OptionSpec::value(
            "--health-cmd",
            &[],
            "COMMAND",
            "a line for the shell that tells by its status whether the app works, or `none`",
        ),
        OptionSpec::value(
            "--health-interval",
            &[],
            "TIME",
            "how long to wait from one such check to the next",
        ),
        OptionSpec::value("--health-timeout", &[], "TIME", "how long a check may take"),
        OptionSpec::value(
            "--health-start-period",
            &[],
            "TIME",
            "how long checks may fail after the start",
        ),
        OptionSpec::value(
            "--health-retries",
            &[],
            "NUMBER",
            "how many failures in a row count",
        ),
    ],
);
