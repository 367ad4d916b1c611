//! Where ONNX Runtime's library may be.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// A file that may be the library, and why it is looked for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub origin: &'static str,
    pub path: PathBuf,
}

/// Where the library may be, in order: `ORT_DYLIB_PATH` (no other path is tried then), next to the program and in the folders of
/// a package around it, in the Python environment of the program, where `scripts/onnxruntime.sh` puts it, and where the system's
/// loader looks.
pub fn library_candidates() -> Vec<Candidate> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = var("ORT_DYLIB_PATH") {
        return vec![Candidate { origin: "ORT_DYLIB_PATH", path }];
    }
    let program = std::env::current_exe().ok();
    let cache = var("RESSORT_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|cache| cache.join("ressort")))
        .or_else(|| var("HOME").map(|home| home.join(".cache/ressort")));
    candidates(program.as_deref().and_then(Path::parent), cache.as_deref())
}

fn candidates(program_dir: Option<&Path>, cache: Option<&Path>) -> Vec<Candidate> {
    let mut folders = Vec::new();
    if let Some(dir) = program_dir {
        folders.push(("next to the program", dir.to_owned()));
        // From `PREFIX/bin`, as archives, Debian's packages and Python environments lay their files out.
        if let Some(prefix) = dir.parent() {
            folders.push(("the package", prefix.join("lib/ressort")));
            folders.push(("libraries of the program", prefix.join("lib")));
            folders.extend(python_folders(prefix).into_iter().map(|folder| ("the Python package onnxruntime", folder)));
        }
    }
    folders.push(("the package", PathBuf::from("/usr/lib/ressort")));
    folders.extend(cache.map(|cache| ("scripts/onnxruntime.sh", cache.join("onnxruntime"))));
    let mut candidates: Vec<Candidate> = Vec::new();
    for (origin, folder) in folders {
        let path = library_in(&folder);
        if candidates.iter().all(|known| known.path != path) {
            candidates.push(Candidate { origin, path });
        }
    }
    candidates.push(Candidate { origin: "system", path: PathBuf::from(library_name()) });
    candidates
}

fn library_name() -> String {
    format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// Where `pip install onnxruntime` puts the library in the environment at `prefix`, for each of its Pythons, and in those whose
/// packages it sees.
fn python_folders(prefix: &Path) -> Vec<PathBuf> {
    let matches = |prefix: &Path, packages: &str| {
        let pattern = glob::Pattern::escape(&prefix.to_string_lossy());
        let found = glob::glob(&format!("{pattern}/{packages}/onnxruntime/capi")).ok();
        found.into_iter().flatten().flatten().collect::<Vec<PathBuf>>()
    };
    let below = ["lib*/python3*/site-packages", "lib*/python3*/dist-packages"];
    let seen = [prefix.to_owned()].into_iter().chain(seen_prefixes(prefix));
    let mut folders: Vec<PathBuf> =
        seen.flat_map(|prefix| below.map(|packages| matches(&prefix, packages)).concat()).collect();
    // `pip install --target PREFIX`.
    folders.extend(Some(prefix.join("onnxruntime/capi")).filter(|folder| folder.is_dir()));
    // `lib64` may be a link to `lib`.
    folders.dedup_by_key(|folder| folder.canonicalize().ok());
    folders
}

/// The environments whose packages the one at `prefix` sees too: those of the system, for a virtual environment that is made so, and
/// for the packages of a user.
fn seen_prefixes(prefix: &Path) -> Vec<PathBuf> {
    let config = std::fs::read_to_string(prefix.join("pyvenv.cfg")).unwrap_or_default();
    let value = |key: &str| {
        let mut pairs = config.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
    };
    let base = value("include-system-site-packages").filter(|value| *value == "true").and_then(|_| value("home"));
    let base = base.and_then(|bin| Path::new(bin).parent()).map(Path::to_owned);
    let is_system = prefix.ends_with(".local") || base.as_deref() == Some(Path::new("/usr"));
    let system = ["/usr/local", "/usr"].map(PathBuf::from).into_iter().filter(|_| is_system);
    base.into_iter().chain(system).collect()
}

/// The library of a folder: its plain name, else the newest of those with a version (`libonnxruntime.so.1.32.0`), which is all
/// that wheels have.
fn library_in(folder: &Path) -> PathBuf {
    let plain = folder.join(library_name());
    if plain.exists() {
        return plain;
    }
    let names = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let versioned = names.filter_map(|name| Some((Reverse(version_in(&name)?), name)));
    versioned.min().map_or(plain, |(_, name)| folder.join(name))
}

/// The version in `libonnxruntime.so.1.32.0` or `libonnxruntime.1.32.0.dylib`; `None` for another file.
fn version_in(name: &str) -> Option<Vec<u32>> {
    let library = library_name();
    let version = match name.strip_prefix(&library) {
        Some(version) => version.strip_prefix('.')?,
        None => {
            let stem = library.strip_suffix(std::env::consts::DLL_SUFFIX)?;
            name.strip_prefix(stem)?.strip_suffix(std::env::consts::DLL_SUFFIX)?.strip_prefix('.')?
        }
    };
    version.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_in_every_layout_in_which_the_program_is_installed() {
        const CAPI: &str = "lib/python3.12/site-packages/onnxruntime/capi";
        for (file, origin) in [
            ("bin/libonnxruntime.so", "next to the program"),
            ("lib/ressort/libonnxruntime.so.1.32.0", "the package"),
            ("lib/libonnxruntime.so.1", "libraries of the program"),
            (&format!("{CAPI}/libonnxruntime.so.1.9.0"), "the Python package onnxruntime"),
            (&format!("{CAPI}/libonnxruntime.so.1.32.0"), "the Python package onnxruntime"),
        ] {
            let prefix = tempfile::tempdir().unwrap();
            let path = prefix.path().join(file);
            for file in [
                &path,
                &prefix.path().join(CAPI).join("libonnxruntime.so.1.8.0"),
                &path.with_file_name("libonnxruntime_x.so"),
            ] {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, "").unwrap();
            }
            let found = candidates(Some(&prefix.path().join("bin")), None);
            assert_eq!(found.iter().find(|found| found.path.exists()), Some(&Candidate { origin, path }), "{file}");
        }
    }

    #[test]
    fn the_library_of_a_python_environment_is_found_however_pip_was_told_to_install() {
        let root = tempfile::tempdir().unwrap();
        let (base, venv, target) = (root.path().join("base"), root.path().join("venv"), root.path().join("target"));
        let capi = base.join("lib/python3.12/site-packages/onnxruntime/capi");
        for folder in [&capi, &venv, &target.join("onnxruntime/capi")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        assert_eq!(python_folders(&target), [target.join("onnxruntime/capi")]);
        for (sees, expected) in [("true", vec![capi]), ("false", Vec::new())] {
            let config = format!("home = {}\ninclude-system-site-packages = {sees}\n", base.join("bin").display());
            std::fs::write(venv.join("pyvenv.cfg"), config).unwrap();
            assert_eq!(python_folders(&venv), expected, "{sees}");
        }
        let seen = seen_prefixes(Path::new("/home/x/.local"));
        assert_eq!(seen, [Path::new("/usr/local"), Path::new("/usr")]);
    }

    #[test]
    fn what_was_searched_is_listed_once_and_ends_with_the_system() {
        let found = candidates(Some(Path::new("/usr/bin")), Some(Path::new("/home/x/.cache/ressort")));
        let paths: Vec<String> = found.iter().map(|found| found.path.display().to_string()).collect();
        for folder in ["/usr/bin", "/usr/lib/ressort", "/usr/lib", "/home/x/.cache/ressort/onnxruntime"] {
            let n = paths.iter().filter(|path| Path::new(path).parent() == Some(Path::new(folder))).count();
            assert_eq!(n, 1, "{folder}: {paths:?}");
        }
        assert_eq!(paths.last().map(String::as_str), Some("libonnxruntime.so"));
        assert_eq!(candidates(None, None).len(), 2);
    }
}
