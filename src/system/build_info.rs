//! Which build this is: version and commit.

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that was built, with `+changes` where sources differed from it; `None` for a debug build, and for sources without
/// their history.
pub fn commit() -> Option<&'static str> {
    Some(env!("RESSORT_BUILD_COMMIT")).filter(|commit| !commit.is_empty())
}
