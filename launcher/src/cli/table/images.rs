//! The commands of images: `fetch`, `validate` and `image`.

use super::archives::INSECURE;
pub(crate) use super::archives::OVERWRITE;
use super::build::BUILD;
use super::spec::{CommandSpec, Group, Operands, OptionSpec};
use super::terms::Terms;

/// Fetches images.
pub(crate) const FETCH: CommandSpec = CommandSpec {
    name: "fetch",
    summary: "downloads images and their dependencies",
    usage: &["[OPTIONS] IMAGE..."],
    about: "\
Downloads images and their dependencies into the store, and prints their IDs.

An image name without a version means the highest version in the store. A name is looked \
up in the store, in the directories of image archives, at \
https://NAME-VERSION-OS-ARCH.aci, and where the web page of the name points to. A \
downloaded image must be signed by a trusted key, see `launcher help trust`. An archive \
stored from a file is found by its path or ID, but not by the name in its manifest; one \
in a directory of archives is found by name, too.

Of an OCI image, layers that are stored are not read again. It is found by what it was \
stored from or by its ID, but not by the name that its file has for it.

An interrupted download continues where it stopped if the command is repeated within a \
day.",
    groups: &[
        &Group::new(
            "Options",
            &[
                FULL,
                OptionSpec::flag("--no-deps", &["-nodeps"], "do not download dependencies"),
                FORMAT,
            ],
        ),
        &FETCHING,
    ],
    terms: &[(
        "Images",
        &[
            (
                "example.com/web:1.0.0,channel=beta",
                "name, version and other labels",
            ),
            ("example.com/web version:1.0.0", "the same, label by label"),
            ("./web.aci, file:///srv/web.aci", "an archive in a file"),
            ("https://example.com/web.aci", "the address of an archive"),
            (
                "https://example.com/web.aci@sha512-...",
                "the image with this whole ID only, which needs no signature; a name can be \
                 followed by an ID, too",
            ),
            (
                "oci:DIR, oci:DIR:NAME, oci:DIR@sha256:...",
                "the only image in a directory with an OCI layout, or one of several",
            ),
            (
                "oci-archive:FILE[:NAME], docker-archive:FILE[:NAME]",
                "the same in a tar archive, or in what `docker save` wrote; a path without \
                 a scheme is recognised by its content",
            ),
            (
                "docker://debian:12, ghcr.io/org/app, localhost:5000/app@sha256:...",
                "an image in a registry, without the scheme if it names a large one or a port",
            ),
            (
                "alpine, grafana/loki:3",
                "an image in Docker Hub, unless one of this name is stored",
            ),
            (
                "sha512-0c6d3a2d, sha256-0c6d3a2d",
                "any unique prefix of a stored image's ID",
            ),
        ],
    )],
    examples: &[
        (
            "Download an image by name",
            "launcher fetch example.com/web:1.0.0",
        ),
        (
            "Store an unsigned archive",
            "launcher fetch --insecure-options=image ./web.aci",
        ),
    ],
    operands: Operands::Images,
    ..CommandSpec::NEW
};

/// Checks files.
pub(crate) const VALIDATE: CommandSpec = CommandSpec {
    name: "validate",
    summary: "checks images and manifests",
    usage: &["[OPTIONS] FILE..."],
    about: "\
Checks image archives, image layouts (directories with `manifest` and `rootfs`), image \
manifests and pod manifests. Prints `FILE OK` or `FILE NOT OK: REASON` for each; \
warnings go to standard error.",
    groups: &[&Group::new("Options", &[FORMAT, INSECURE])],
    terms: &[(
        "Exit status",
        &[
            ("0", "all files are valid"),
            ("1", "a file is not valid"),
            ("2", "the command line is wrong"),
        ],
    )],
    examples: &[("Check an archive", "launcher validate ./web.aci")],
    operands: Operands::Files,
    ..CommandSpec::NEW
};

/// The commands of the store.
pub(crate) const IMAGE: CommandSpec = CommandSpec {
    name: "image",
    summary: "manages the images in the store",
    usage: &["COMMAND [ARGUMENTS]"],
    about: "Builds images, and lists, checks, exports and removes those in the store.",
    commands: &[
        BUILD,
        CommandSpec {
            name: "list",
            summary: "lists images",
            usage: &["[OPTIONS]"],
            about: "\
Lists the images in the store. The column TRUST says why an image was accepted: `signed` by \
a key, `built` here, `provided` in a directory of images, as a `file` that was named, \
`pinned` by its digest or `needed` by another image so, from a `registry` that is believed \
to be itself, or `waived`, which means that the check was turned off. With --full, it says \
who vouches for the image.",
            groups: &[&Group::new(
                "Options",
                &[
                    OptionSpec::value(
                        "--fields",
                        &[],
                        "FIELD,...",
                        "show only these columns: id, name, size, importtime, lastused, trust",
                    ),
                    OptionSpec::value(
                        "--sort",
                        &[],
                        "id|name|size|importtime|lastused|trust",
                        "sort by this column (default: importtime)",
                    ),
                    OptionSpec::value("--order", &[], "asc|desc", "sort order (default: asc)"),
                    FULL,
                    NO_LEGEND,
                    FORMAT,
                ],
            )],
            examples: &[(
                "List the largest images first",
                "launcher image list --sort=size --order=desc",
            )],
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "rm",
            summary: "removes images",
            usage: &["[OPTIONS] IMAGE..."],
            about: "\
Removes images that no pod uses. An OCI image that is given by one of several names keeps \
the others, and loses this one only.",
            groups: &[&Group::new("Options", &[FORMAT])],
            terms: &[STORED],
            examples: &[("Remove an image", "launcher image rm example.com/web:1.0.0")],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "gc",
            summary: "removes images that are not used",
            usage: &["[OPTIONS]"],
            about: "\
Removes images that no pod uses and that nobody has used for some time, the file trees \
prepared from them, and abandoned downloads.",
            groups: &[&Group::new(
                "Options",
                &[
                    OptionSpec::value(
                        "--grace-period",
                        &[],
                        "TIME",
                        "keep what was used within this time, such as 90s, 30m, 1h30m or 0 \
                         (default: 24h)",
                    ),
                    OptionSpec::flag("--dry-run", &[], "only print what would be removed"),
                    FORMAT,
                ],
            )],
            examples: &[(
                "Remove all images that no pod uses",
                "launcher image gc --grace-period=0",
            )],
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "prune",
            summary: "removes old images, by number or size",
            usage: &["[--keep-last=NUMBER] [--max-size=SIZE] [OPTIONS]"],
            about: "\
Removes images that no pod uses: with --keep-last those that are followed by enough others of \
the same name, whatever their versions or tags, and those without a name; then, with \
--max-size, the ones that were stored first, until the others take no more than that.",
            groups: &[&Group::new(
                "Options",
                &[
                    OptionSpec::value(
                        "--keep-last",
                        &[],
                        "NUMBER",
                        "keep so many images of each name, those that were stored last",
                    ),
                    OptionSpec::value(
                        "--max-size",
                        &[],
                        "SIZE",
                        "the room that images may take on the disk, such as 500M or 2Gi",
                    ),
                    OptionSpec::flag("--dry-run", &[], "only print what would be removed"),
                    FORMAT,
                ],
            )],
            examples: &[(
                "Keep two images of each name, and no more than a gigabyte",
                "launcher image prune --keep-last=2 --max-size=1G",
            )],
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "df",
            summary: "shows what takes how much room",
            usage: &["[OPTIONS]"],
            about: "\
Shows the room that images take on the disk: all of it, what they share with others, and \
what would be free without them; and the room of what was rendered from them, of pods, and of \
unfinished downloads.",
            groups: &[&Group::new("Options", &[FORMAT])],
            examples: &[("Show what takes how much room", "launcher image df")],
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "tag",
            summary: "gives an OCI image another name",
            usage: &["IMAGE NAME[:TAG]"],
            about: "\
Gives an OCI image another name, under which it is run and pushed. If another image has \
that name, it loses it.",
            terms: &[STORED],
            examples: &[(
                "Push an image to another registry",
                "launcher image tag debian:12 localhost:5000/debian:12\n\
                 launcher image push localhost:5000/debian:12",
            )],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "inspect",
            summary: "shows all that is known of images",
            usage: &["[OPTIONS] IMAGE..."],
            about: "\
Shows where images came from, their names, layers and manifests, and what they say of \
themselves, as JSON.",
            groups: &[&Group::new("Options", &[FORMAT])],
            terms: &[STORED],
            examples: &[("Show an image", "launcher image inspect debian:12")],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "history",
            summary: "shows how an OCI image was made",
            usage: &["[OPTIONS] IMAGE"],
            about: "\
Shows the steps by which an OCI image was made, as far as it says so, the last one first, with \
the room that their layers take.",
            groups: &[&Group::new("Options", &[FORMAT])],
            terms: &[STORED],
            examples: &[(
                "Show how an image was made",
                "launcher image history debian:12",
            )],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "diff",
            summary: "lists how the files of two images differ",
            usage: &["[OPTIONS] OLD NEW"],
            about: "\
Lists the paths that the second image has and the first has not (A), that differ (C), and that \
only the first has (D).",
            groups: &[&Group::new("Options", &[FORMAT])],
            terms: &[STORED],
            examples: &[(
                "List what an update changes",
                "launcher image diff example.com/web:1.0.0 example.com/web:1.1.0",
            )],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "verify",
            summary: "checks images against their IDs, or a signature",
            usage: &[
                "[OPTIONS] [IMAGE...]",
                "[OPTIONS] --signature FILE.aci.asc FILE.aci",
            ],
            about: "\
Computes the IDs of images again from what is stored, and compares owners, modes, times, \
links, attributes and names of files; of all images if none is given. Prints `ID OK` or \
`ID NOT OK: DIFFERENCES` for each. What was rendered from an image and those that it needs \
is compared with them; if it differs, that is printed, too, and it is removed unless a pod \
uses it: it is made again when it is needed. \
With --signature, checks that a key that is trusted for the image in a file has signed \
the file.",
            groups: &[&Group::new(
                "Options",
                &[
                    OptionSpec::flag(
                        "--remove-changed",
                        &[],
                        "remove layers of OCI images that have changed and that nothing uses, so \
                         that fetch fetches them again, and nothing else",
                    ),
                    OptionSpec::value("--signature", &[], "FILE", "check this detached signature"),
                    FORMAT,
                    INSECURE,
                ],
            )],
            terms: &[STORED],
            examples: &[("Check the whole store", "launcher image verify")],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "export",
            summary: "writes an image to a file",
            usage: &["[OPTIONS] IMAGE FILE"],
            about: "\
Writes an image to a file. Nothing is written if the image has changed since it was stored.

An App Container image is written byte for byte as it was stored, not compressed. Of an OCI \
image, the configuration and the layers are written byte for byte. So is its manifest, if \
the layers were kept as they had been compressed (--keep-blobs of fetch) or never were \
compressed; otherwise it gets a new one.

As the other kind, an image is one layer with the files that an app would see, and says the \
same as far as the other kind has words for it.",
            groups: &[&Group::new(
                "Options",
                &[
                    OptionSpec::value(
                        "--format",
                        &[],
                        "aci|oci|oci-dir|docker-archive",
                        "an App Container image, an OCI layout in an archive that `docker load` \
                         reads, too, the same in a directory, which may have others already, or \
                         an archive for readers that know no OCI layouts (default: aci or oci, \
                         as the image is)",
                    ),
                    OVERWRITE,
                ],
            )],
            terms: &[STORED],
            examples: &[
                (
                    "Export an image",
                    "launcher image export example.com/web:1.0.0 web.aci",
                ),
                (
                    "Hand an App Container image to other programs",
                    "launcher image export --format=oci example.com/web:1.0.0 web.tar",
                ),
            ],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "push",
            summary: "sends an image to a registry, a directory or an archive",
            usage: &["[OPTIONS] IMAGE [DESTINATION]"],
            about: "\
Sends an image to a registry, without a destination to where its name says, or writes it to \
a directory or an archive. Prints the digest of its manifest. An App Container image is sent \
as an OCI image, see export.

A registry gets only what it does not have. Layers that were not kept as they had been \
compressed (--keep-blobs of fetch) are compressed again. Signatures of cosign that were kept \
with them are sent if they are of the manifest that is. Logins are those of `launcher login`, \
podman and docker.",
            groups: &[&Group::new("Options", &[OVERWRITE]), &FETCHING],
            terms: &[
                STORED,
                (
                    "Destinations",
                    &[
                        ("docker://REGISTRY/NAME[:TAG]", "a registry"),
                        (
                            "oci:DIRECTORY[:NAME]",
                            "a directory with an OCI layout, which may have others already",
                        ),
                        (
                            "oci-archive:FILE[:NAME], docker-archive:FILE[:NAME]",
                            "an archive, as export writes it",
                        ),
                    ],
                ),
            ],
            examples: &[(
                "Copy an image to another registry",
                "launcher fetch --keep-blobs debian:12\n\
                 launcher image push debian:12 docker://localhost:5000/debian:12",
            )],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "extract",
            summary: "copies the files of an image to a directory",
            usage: &["IMAGE DIRECTORY"],
            about: "\
Copies the root file system of an image to a new directory, without dependencies.",
            terms: &[STORED],
            examples: &[(
                "Extract an image",
                "launcher image extract example.com/web:1.0.0 ./web",
            )],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "render",
            summary: "copies the files of an image and its dependencies to a directory",
            usage: &["IMAGE DIRECTORY"],
            about: "\
Copies the root file system of an image to a new directory, with all dependencies, as an \
app would see it.",
            terms: &[STORED],
            examples: &[(
                "Render an image",
                "launcher image render example.com/web:1.0.0 ./web",
            )],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
        CommandSpec {
            name: "cat-manifest",
            summary: "prints the manifest of an image",
            usage: &["IMAGE"],
            about: "Prints the manifest of an image.",
            terms: &[STORED],
            examples: &[(
                "Print a manifest",
                "launcher image cat-manifest example.com/web:1.0.0",
            )],
            operands: Operands::Images,
            ..CommandSpec::NEW
        },
    ],
    operands: Operands::Commands,
    ..CommandSpec::NEW
};

/// How an image in the store is named.
const STORED: Terms = (
    "Images",
    &[(
        "IMAGE",
        "any unique prefix of an image ID, or NAME[:VERSION][,LABEL=VALUE...]; without a \
         version, the highest one is meant, and of several with that version the one stored \
         last",
    )],
);

/// Options of fetching.
pub(crate) const FETCHING: Group = Group::new(
    "Images",
    &[
        OptionSpec::value(
            "--pull-policy",
            &[],
            "new|update|never",
            "download images that are not stored (new), also look for newer ones (update), or \
             download nothing (never) (default: update for fetch, otherwise new)",
        )
        .only(FETCHES),
        OptionSpec::value(
            "--insecure-options",
            &[],
            "CHECK,...",
            "skip checks: image (signatures), tls (identity of servers, which then get no \
             credentials), http (allow connections without encryption), pubkey (how keys are \
             downloaded), compression (archives that become more than 500 times larger), all-fetch",
        ),
        OptionSpec::value(
            "--image-dir",
            &[],
            "DIRECTORY",
            "look for image archives here first, then in /usr/local/share/nosecone/images and \
             /usr/share/nosecone/images",
        )
        .repeated()
        .only(FETCHES),
        OptionSpec::value(
            "--ca-file",
            &[],
            "FILE",
            "also trust the certificates in this file",
        )
        .only(ASKS),
        OptionSpec::value(
            "--platform",
            &[],
            "OS/ARCHITECTURE[/VARIANT]",
            "take this of the images that an OCI image has for several platforms (default: \
             the one for this host)",
        )
        .only(CHOOSES),
        OptionSpec::value(
            "--max-size",
            &[],
            "SIZE",
            "refuse images whose archive, or whose compressed layers in a registry, are larger",
        )
        .only(KEEPS),
        OptionSpec::value(
            "--limit-rate",
            &[],
            "SIZE",
            "download at most so many bytes a second, all layers together: 500k, 2M, 1Mi",
        )
        .only(FETCHES),
        OptionSpec::flag(
            "--keep-blobs",
            &[],
            "also keep the layers of OCI images as they are compressed, so that what is \
             exported or pushed has the same digest",
        )
        .only(KEEPS),
        OptionSpec::flag("--quiet", &["-q"], "do not show progress").only(ASKS),
    ],
);

/// The commands that choose an image of several.
const CHOOSES: &[&str] = &["run", "prepare", "plan", "fetch"];

/// The commands that store images.
const KEEPS: &[&str] = &["run", "prepare", "fetch"];

/// The commands that ask servers.
const ASKS: &[&str] = &["run", "prepare", "fetch", "trust", "add", "push"];

const FETCHES: &[&str] = &["run", "prepare", "fetch", "trust", "add"];

/// Whole identifiers.
pub(crate) const FULL: OptionSpec =
    OptionSpec::flag("--full", &[], "show full UUIDs, image IDs and times");

/// No headings.
pub(crate) const NO_LEGEND: OptionSpec =
    OptionSpec::flag("--no-legend", &[], "do not print column headings");

/// How tables are written.
pub(crate) const FORMAT: OptionSpec = OptionSpec::value(
    "--format",
    &[],
    "text|json|json-pretty",
    "output format (default: text)",
);
