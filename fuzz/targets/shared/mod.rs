//! What several targets need.

/// Panics of libraries become errors, and end no run unless nobody catches them.
pub fn allow_panics_of_libraries() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("/registry/src/")) {
            abort(panic);
        }
    }));
}

/// A folder for files that are written thousands of times a second.
pub fn folder_in_memory() -> tempfile::TempDir {
    let shared_memory = std::path::Path::new("/dev/shm");
    let folder = match shared_memory.is_dir() {
        true => tempfile::tempdir_in(shared_memory),
        false => tempfile::tempdir(),
    };
    folder.expect("a folder for temporary files")
}
