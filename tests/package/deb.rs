//! The Debian package, with the program that the tests have.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

/// cargo-deb, as `scripts/setup test` installs it.
const CARGO_DEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/cargo-deb");

/// Version 0.1.0 of today, and one that comes after it.
pub struct Packages(TempDir);

impl Packages {
    /// Made once for all tests.
    pub fn made() -> &'static Self {
        static PACKAGES: OnceLock<Packages> = OnceLock::new();
        PACKAGES.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            for revision in ["1", "2"] {
                build(revision, &folder.path().join(format!("schoolgate-{revision}.deb")));
            }
            Self(folder)
        })
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn first(&self) -> PathBuf {
        self.folder().join("schoolgate-1.deb")
    }
}

fn build(revision: &str, file: &Path) {
    // A release takes minutes to link, and is no other program.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let output = Command::new(CARGO_DEB)
        .args(["deb", "--no-build", "--fast", "--profile", profile, "--deb-revision", revision, "--output"])
        .arg(file)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|why| panic!("{CARGO_DEB}: {why}: scripts/setup test installs it"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
