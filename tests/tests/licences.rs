//! Everything linked into the product may be shipped: each dependency's licence is on a short list, or named with its reason.

use cargo_metadata::MetadataCommand;

/// Permissive, or (MPL) copyleft by file, which leaves ours alone.
const ACCEPTED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Zlib",
    "Unlicense",
    "Unicode-3.0",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CDLA-Permissive-2.0",
    "MPL-2.0",
];

/// No licence field, but a licence file that was read.
const READ: &[(&str, &str)] = &[
    ("rsip", "MIT, in its LICENSE file; used by tests only"),
    ("rsip-derives", "MIT, as rsip"),
];

/// `A OR B` needs one accepted side, `A AND B` both; old manifests write `/` for OR.
fn accepted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let bare = expression.trim();
    let any = |part: &str| {
        let part = part
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .trim();
        part.split(" OR ")
            .any(|choice| ACCEPTED.contains(&choice.trim()))
    };
    bare.split(" AND ").all(any)
}

#[test]
fn every_dependency_may_be_shipped() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .exec()
        .expect("cargo metadata");
    let refused: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| !READ.iter().any(|(name, _)| package.name.as_str() == *name))
        .filter(|package| !package.license.as_deref().is_some_and(accepted))
        .map(|package| format!("{} {:?}", package.name, package.license))
        .collect();
    assert!(refused.is_empty(), "not on the list: {refused:#?}");
    assert!(
        metadata.packages.len() > 100,
        "the dependencies were really read"
    );
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    assert!(accepted("MIT/Apache-2.0"));
    assert!(accepted("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(accepted("GPL-3.0 OR MIT"));
    assert!(!accepted("MIT AND GPL-3.0"));
    assert!(!accepted("LGPL-2.1-or-later"));
}
