//! No locked dependency has a known vulnerability, nor is unsound or abandoned without a reason to keep it.
//!
//! Held against `fixtures/advisories.tsv`, the RustSec advisory database as `make advisories` last brought it.

use cargo_metadata::MetadataCommand;
use cargo_metadata::semver::{Version, VersionReq};

/// Known, and why it may stay.
const KNOWN: &[(&str, &str)] = &[(
    "RUSTSEC-2021-0127",
    "serde_cbor is unmaintained; opencc-fmmseg reads its own dictionaries with it, never what comes from outside",
)];

struct Advisory {
    package: String,
    id: String,
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
    kind: String,
}

impl Advisory {
    fn read(line: &str) -> Option<Advisory> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().map(str::to_owned);
        let (package, id, patched, unaffected, kind) =
            (next()?, next()?, next()?, next()?, next()?);
        Some(Advisory {
            package,
            id,
            patched: versions(&patched)?,
            unaffected: versions(&unaffected)?,
            kind,
        })
    }

    fn affects(&self, version: &Version) -> bool {
        let mut safe = self.patched.iter().chain(&self.unaffected);
        !safe.any(|versions| versions.matches(version))
    }
}

/// `>= 1.2.3, < 2.0.0 | >= 2.1.0`
fn versions(text: &str) -> Option<Vec<VersionReq>> {
    let parts = text.split(" | ").filter(|part| !part.is_empty());
    parts.map(|part| VersionReq::parse(part).ok()).collect()
}

fn advisories() -> Vec<Advisory> {
    let table = include_str!("../../fixtures/advisories.tsv");
    let read = |line| Advisory::read(line).unwrap_or_else(|| panic!("no advisory: {line}"));
    table.lines().map(read).collect()
}

#[test]
fn no_dependency_has_a_known_vulnerability() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .exec()
        .expect("cargo metadata");
    let advisories = advisories();
    assert!(advisories.len() > 900, "the table was really read");
    let mut found = Vec::new();
    // Ours have no source.
    let foreign = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some());
    for package in foreign {
        let of = |advisory: &&Advisory| advisory.package == package.name.as_str();
        for advisory in advisories.iter().filter(of) {
            if advisory.affects(&package.version) {
                let (name, version) = (&package.name, &package.version);
                found.push((
                    advisory.id.as_str(),
                    format!("{name} {version}: {}", advisory.kind),
                ));
            }
        }
    }
    let known = |id: &str| KNOWN.iter().any(|(known, _)| *known == id);
    let news: Vec<_> = found.iter().filter(|(id, _)| !known(id)).collect();
    assert!(news.is_empty(), "{news:#?}");
    for (id, _) in KNOWN {
        let there = found.iter().any(|(found, _)| found == id);
        assert!(there, "{id} concerns us no more: take it from the list");
    }
}

#[test]
fn versions_are_read_as_the_database_means_them() {
    let advisory = Advisory::read("x\tID\t>= 1.2.3, < 2.0.0 | >= 2.1.0\t< 0.5.0\tvulnerability");
    let advisory = advisory.expect("an advisory");
    for (version, affected) in [
        ("0.4.9", false),
        ("1.2.2", true),
        ("1.2.3", false),
        ("2.0.5", true),
        ("2.1.0", false),
    ] {
        let version = Version::parse(version).expect("a version");
        assert_eq!(advisory.affects(&version), affected, "{version}");
    }
}
