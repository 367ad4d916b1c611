//! Records the commit for `ressort --version`. A debug build records none: each commit would otherwise compile everything again.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RESSORT_COMMIT");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    // An archive of the sources has no history, so that its builder can name the commit.
    let given = std::env::var("RESSORT_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(|| is_release.then(commit_of_sources).flatten());
    println!("cargo:rustc-env=RESSORT_BUILD_COMMIT={}", commit.unwrap_or_default());
}

/// The commit that is checked out, with `+changes` where a source file differs from it.
fn commit_of_sources() -> Option<String> {
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    for watched in ["src", "Cargo.toml", "Cargo.lock", &log] {
        println!("cargo:rerun-if-changed={watched}");
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--", "src", "build.rs", "Cargo.toml", "Cargo.lock"])?;
    Some(if changes.is_empty() { commit } else { format!("{commit}+changes") })
}

/// The output of one git command; `None` where there is no git, or no repository.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
