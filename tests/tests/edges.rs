//! Who may import whom, read from `cargo metadata`. A new edge is a decision: write its reason here.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};

/// What each of our crates may import of ours.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // The shared words know nobody.
    ("model", &[]),
    // Counts and the page they are told on; what is counted is the business of those who count.
    ("meter", &[]),
    // Each subject of the pure ring speaks the shared words and does not know the others: what two of them must agree on
    // meets in `switch`.
    ("sip", &["model"]),
    ("media", &["model"]),
    ("dialer", &["model"]),
    ("bots", &["model"]),
    ("billing", &["model"]),
    // The one place where signalling, audio, robots, the gate and money meet.
    (
        "switch",
        &["model", "sip", "media", "dialer", "bots", "billing"],
    ),
    // The world around the node, pretended; and a judge of what the node does in it.
    (
        "simulation",
        &[
            "model", "sip", "media", "dialer", "bots", "billing", "switch",
        ],
    ),
    // `bots` owns the recogniser's trait, `media` the frames it listens to.
    ("speech", &["model", "bots", "media"]),
    // Keeps the values of the pure crates: accounts and bindings (sip), leads and decisions (dialer), templates, turns and
    // grades (bots), postings (billing), what the node asks to be written (switch). No audio: recordings are files.
    (
        "store",
        &[
            "model", "meter", "sip", "dialer", "bots", "billing", "switch",
        ],
    ),
    // Performs the node's effects: datagrams (sip), packets and prompts (media), spans to recognise (speech, whose answers
    // are `bots` values), writes (store).
    (
        "engine",
        &[
            "model", "meter", "sip", "media", "bots", "switch", "speech", "store",
        ],
    ),
    // Asks `store` and `engine::Handle`; checks what comes in by the pure crates' own rules: digest accounts (sip), prompt
    // audio (media), templates (bots), plans (dialer), postings (billing). It never reaches past the handle into the node.
    (
        "admin",
        &[
            "model", "meter", "sip", "media", "dialer", "bots", "billing", "store", "engine",
        ],
    ),
    // A database server to test and measure against: knows nobody.
    ("pgserver", &[]),
    // The binary wires everything.
    (
        "huying",
        &[
            "model",
            "sip",
            "media",
            "dialer",
            "bots",
            "billing",
            "switch",
            "simulation",
            "speech",
            "store",
            "engine",
            "admin",
            "pgserver",
        ],
    ),
    // Looks at everything from outside.
    (
        "tests",
        &[
            "model",
            "sip",
            "media",
            "dialer",
            "bots",
            "billing",
            "switch",
            "simulation",
            "speech",
            "store",
            "engine",
            "admin",
            "pgserver",
            "huying",
        ],
    ),
];

/// The pure ring: stepped single-threaded through virtual time, so the same seed gives the same log.
const PURE: &[&str] = &[
    "model",
    "sip",
    "media",
    "dialer",
    "bots",
    "billing",
    "switch",
    "simulation",
];

/// What would let the world into the pure ring, by whichever way it came.
const WORLDLY: &[(&str, &str)] = &[
    (
        "tokio",
        "tasks and timers of its own: time comes in through the door",
    ),
    (
        "async-std",
        "tasks and timers of its own: time comes in through the door",
    ),
    ("mio", "sockets are the engine's"),
    ("socket2", "sockets are the engine's"),
    ("sqlx", "only `store` has SQL"),
    ("reqwest", "nobody in there talks to the network"),
    ("hyper", "nobody in there talks to the network"),
    ("getrandom", "chance comes in as a seed"),
    (
        "rand",
        "its default features ask the system; the pure ring takes `rand_chacha` and a seed",
    ),
    (
        "crossbeam-channel",
        "no threads of its own, so nobody to talk to",
    ),
    ("rayon", "no threads of its own"),
    ("tracing", "what is worth telling is an effect"),
];

/// Ways of the world that a library opens for itself and we do not use. Each with the reason it is harmless.
const EXCUSED: &[(&str, &str, &str)] = &[(
    "bots",
    "rayon",
    "opencc-fmmseg has a parallel conversion; `bots` sets it serial (`fold.rs`)",
)];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .expect("cargo tells about the workspace")
}

/// Test and bench dependencies may be worldly; what is shipped may not.
fn shipped(package: &Package) -> BTreeSet<String> {
    let real = package
        .dependencies
        .iter()
        .filter(|d| d.kind != DependencyKind::Development);
    real.map(|dependency| dependency.name.clone()).collect()
}

#[test]
fn our_crates_import_each_other_only_as_the_house_allows() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<String> = packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let allowed: BTreeMap<&str, BTreeSet<&str>> = MAY_IMPORT
        .iter()
        .map(|(name, of)| (*name, of.iter().copied().collect()))
        .collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!(
                "`{name}` is a new room: say in tests/tests/edges.rs what it may import"
            ));
            continue;
        };
        for import in shipped(package).intersection(&ours) {
            if !allowed.contains(import.as_str()) {
                wrong.push(format!("`{name}` imports `{import}`"));
            }
        }
    }
    let gone = allowed.keys().filter(|name| !ours.contains(**name));
    wrong.extend(gone.map(|name| format!("`{name}` is listed and not there")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An edge nobody uses is forgotten on this list, and the next reader takes it for a fact.
#[test]
fn every_allowed_edge_of_a_room_is_used() {
    let metadata = metadata();
    let mut unused = Vec::new();
    for package in metadata.workspace_packages() {
        let (name, imports) = (package.name.as_str(), shipped(package));
        // These two may import all; which they need changes with every test.
        if name == "huying" || name == "tests" {
            continue;
        }
        let allowed = MAY_IMPORT
            .iter()
            .find(|(room, _)| *room == name)
            .map_or(&[][..], |(_, of)| of);
        let idle = allowed.iter().filter(|import| !imports.contains(**import));
        unused.extend(idle.map(|import| format!("`{name}` may import `{import}` and does not")));
    }
    assert!(unused.is_empty(), "{}", unused.join("\n"));
}

/// Not only their own Cargo.toml: nothing they ship may bring the world in by a back door.
#[test]
fn nothing_in_the_pure_ring_reaches_the_world() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let named = |id: &cargo_metadata::PackageId| {
        metadata
            .packages
            .iter()
            .find(|package| package.id == *id)
            .map(|package| package.name.as_str())
    };
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let room = package.name.as_str();
        if !PURE.contains(&room) {
            continue;
        }
        // Each with the one it was reached from.
        let mut seen = BTreeMap::from([(&package.id, None)]);
        let mut next = vec![&package.id];
        while let Some(id) = next.pop() {
            for dependency in &nodes[id].deps {
                let built_in = dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal && here(kind));
                if built_in && !seen.contains_key(&dependency.pkg) {
                    seen.insert(&dependency.pkg, Some(id));
                    next.push(&dependency.pkg);
                }
            }
        }
        for (id, _) in seen.iter() {
            let name = named(id).unwrap_or_default();
            let excused = EXCUSED
                .iter()
                .any(|(of, what, _)| *of == room && *what == name);
            let excused = excused
                || ["switch", "simulation"].contains(&room)
                    && EXCUSED.iter().any(|(_, what, _)| *what == name);
            if let Some((_, why)) = WORLDLY.iter().find(|(worldly, _)| *worldly == name)
                && !excused
            {
                let mut path = vec![name];
                let mut at = *id;
                while let Some(Some(from)) = seen.get(at) {
                    path.push(named(from).unwrap_or_default());
                    at = from;
                }
                path.reverse();
                wrong.push(format!("{}: {why}", path.join(" > ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a dependency is for this kind of machine: browsers' and Windows' doors are not ours.
fn here(kind: &cargo_metadata::DepKindInfo) -> bool {
    kind.target.as_ref().is_none_or(|target| {
        let target = target.to_string();
        !["wasm", "windows", "macos", "android", "hermit", "wasi"]
            .iter()
            .any(|other| target.contains(other))
    })
}

/// The wall is also in what the rooms turn on: a feature such as `rand_core/os_rng` or `chrono/clock` would open a door
/// without a new name appearing among the dependencies.
#[test]
fn the_pure_ring_turns_on_no_clock_and_no_system_chance() {
    let forbidden = [
        ("chrono", "clock"),
        ("chrono", "now"),
        ("rand_core", "os_rng"),
        ("rand_chacha", "os_rng"),
        ("uuid", "v4"),
        ("uuid", "v7"),
    ];
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        if !PURE.contains(&package.name.as_str()) {
            continue;
        }
        let real = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development);
        for dependency in real {
            let opened = forbidden.iter().filter(|(name, feature)| {
                dependency.name == *name && dependency.features.iter().any(|f| f == feature)
            });
            wrong
                .extend(opened.map(|(name, feature)| {
                    format!("`{}` turns on {name}/{feature}", package.name)
                }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
