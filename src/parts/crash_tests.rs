//! Resume after every crash: a run is observed at each system call that matters, and each state that a kill or a power
//! failure could leave there is resumed to the end.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which panic where the folder of a test cannot be read")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::json;

use super::*;
use crate::system::atomic_file::observed;

/// Rows and errors of each chunk; the second and the third lack one of them.
const CHUNKS: [(&str, &str); 4] = [("a\nb\n", "e\n"), ("c\n", ""), ("", "f\n"), ("d\n", "g\n")];
const ROWS_AND_FOOTER: &str = "a\nb\nc\nd\nend";
const ALL_ERRORS: &str = "e\nf\ng\n";

/// The folder of parts, and what it is called while it is removed.
const PARTS_NAMES: [&str; 2] = ["out.parts", ".out.parts.finished"];

/// Files by path below the root; a folder has no content.
type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;
/// File numbers by name.
type Names = BTreeMap<OsString, u64>;

/// What is in the folders of a run, and what of it survives a power failure.
#[derive(Default)]
struct Disk {
    root: PathBuf,
    /// Held open, so that no number is given out twice.
    files: HashMap<u64, (File, PathBuf)>,
    contents: HashMap<u64, Vec<u8>>,
    durable_contents: HashMap<u64, Vec<u8>>,
    durable_names: BTreeMap<PathBuf, Names>,
    states: BTreeSet<Tree>,
}

/// What a power failure leaves of the bytes that were written and not synced.
#[derive(Clone, Copy)]
enum Unsynced {
    Kept,
    Half,
    Lost,
}

impl Disk {
    fn new(root: &Path) -> Self {
        let mut disk = Self { root: root.to_owned(), ..Self::default() };
        disk.look();
        disk.durable_names =
            disk.folders().into_iter().map(|folder| (disk.key(&folder), disk.names(&folder))).collect();
        disk.durable_contents = disk.contents.clone();
        disk
    }

    /// The folder of parts, whichever of its names it has now.
    fn parts(&self) -> PathBuf {
        let names = PARTS_NAMES.map(|name| self.root.join(name));
        names.iter().find(|folder| folder.is_dir()).unwrap_or(&names[0]).clone()
    }

    fn folders(&self) -> Vec<PathBuf> {
        [self.root.clone(), self.parts()].into_iter().filter(|folder| folder.is_dir()).collect()
    }

    /// One key for the folder of parts under both names.
    fn key(&self, folder: &Path) -> PathBuf {
        if folder == self.root { folder.to_owned() } else { self.root.join(PARTS_NAMES[0]) }
    }

    fn names(&self, folder: &Path) -> Names {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().ino())).collect()
    }

    /// Reads all files.
    fn look(&mut self) {
        for path in self.folders().iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten()) {
            let number = path.metadata().unwrap().ino();
            self.files.entry(number).or_insert_with(|| (File::open(path.path()).unwrap(), path.path()));
            if path.path().is_file() {
                self.contents.insert(number, std::fs::read(path.path()).unwrap());
            }
        }
    }

    /// Before a system call: takes down the states that a crash could leave now. `synced` is then durable.
    fn observe(&mut self, synced: Option<&Path>) {
        self.look();
        let parts = self.parts();
        let both = |folder: &Path| [self.names(folder), self.durable(folder)];
        let (roots, many_parts) = (both(&self.root), both(&parts));
        for (root, parts) in roots.iter().flat_map(|root| many_parts.iter().map(move |parts| (root, parts))) {
            for unsynced in [Unsynced::Kept, Unsynced::Half, Unsynced::Lost] {
                let state = self.state(root, parts, unsynced);
                self.states.extend(state);
            }
        }
        // Folders need not keep changes in their order: any one may be lost.
        let root = self.names(&self.root);
        for names in self.with_one_change_lost(&parts) {
            let state = self.state(&root, &names, Unsynced::Lost);
            self.states.extend(state);
        }
        match synced {
            Some(folder) if folder.is_dir() => {
                self.durable_names.insert(self.key(folder), self.names(folder));
            }
            Some(file) => {
                let number = file.metadata().unwrap().ino();
                self.durable_contents.insert(number, self.contents[&number].clone());
            }
            None => {}
        }
    }

    fn durable(&self, folder: &Path) -> Names {
        self.durable_names.get(&self.key(folder)).cloned().unwrap_or_default()
    }

    fn with_one_change_lost(&self, folder: &Path) -> Vec<Names> {
        let (now, before) = (self.names(folder), self.durable(folder));
        let changed = now.keys().chain(before.keys()).filter(|name| now.get(*name) != before.get(*name));
        let without = |name: &OsString| {
            let mut names = now.clone();
            match before.get(name) {
                Some(&number) => names.insert(name.clone(), number),
                None => names.remove(name),
            };
            names
        };
        changed.map(without).collect()
    }

    /// The state with these names in the two folders. `None` where a file that moved from one to the other would be in
    /// both or in none: file systems move it in one step.
    fn state(&self, root: &Names, parts: &Names, unsynced: Unsynced) -> Option<Tree> {
        let none = Names::new();
        let parts_name = PARTS_NAMES.into_iter().find(|name| root.contains_key(&OsString::from(name)));
        let parts = if parts_name.is_some() { parts } else { &none };
        let mut tree: Tree = parts_name.map(|name| (name.into(), None)).into_iter().collect();
        let is_in = |names: &Names, number: u64| names.values().any(|&other| other == number);
        let before = self.durable(&self.parts());
        let mut moved = self.names(&self.root).into_values().filter(|&number| is_in(&before, number));
        if moved.any(|number| is_in(root, number) == is_in(parts, number)) {
            return None;
        }
        for (folder, names) in [("", root), (parts_name.unwrap_or_default(), parts)] {
            let is_file = |(name, _): &(&OsString, &u64)| PARTS_NAMES.iter().all(|parts| *name != *parts);
            for (name, &number) in names.iter().filter(is_file) {
                // Random names would make each state a new one.
                let name = if is_temporary(name) { OsString::from(".x.tmp") } else { name.clone() };
                tree.insert(Path::new(folder).join(name), Some(self.content(number, unsynced)));
            }
        }
        Some(tree)
    }

    fn content(&self, number: u64, unsynced: Unsynced) -> Vec<u8> {
        let now = &self.contents[&number];
        let durable = self.durable_contents.get(&number).cloned().unwrap_or_default();
        match (unsynced, now.strip_prefix(durable.as_slice())) {
            (Unsynced::Kept, _) => now.clone(),
            (Unsynced::Half, Some(added)) => [&durable, &added[..added.len() / 2]].concat(),
            _ => durable,
        }
    }
}

/// Scores what is left, as a process that starts on `root` would.
fn finish_run(root: &Path, is_assembled: bool) -> Result<(), PartsError> {
    let output = root.join("out");
    // `prepare` refuses to continue.
    if output.exists() && !is_published(&output)? {
        return Ok(());
    }
    let mut parts = Parts::<u64>::open(&output, &json!({"top-k": 5}), SavedRows::Resume)?;
    if parts.checkpoint.whole.is_none() {
        let first = parts.checkpoint.position.record as usize;
        for (index, (rows, errors)) in CHUNKS.iter().enumerate().skip(first) {
            let position = Position { source: 0, record: index as u64 + 1 };
            parts.append(rows.as_bytes(), errors.as_bytes(), position, &1)?;
        }
    }
    let assemble = |rows: &Path, whole: &Path| {
        std::fs::copy(rows, whole).map(|_| ()).map_err(|error| PartsError::write(whole, error))
    };
    parts.complete(b"end", is_assembled.then_some(assemble))?;
    parts.publish()
}

/// The states that a crash could leave, of a run in a folder that holds `before`.
fn crash_states(before: &Tree, is_assembled: bool) -> BTreeSet<Tree> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    build(&root, before);
    let disk = Rc::new(RefCell::new(Disk::new(&root)));
    let observer = Rc::clone(&disk);
    observed::during(move |synced| observer.borrow_mut().observe(synced), || finish_run(&root, is_assembled).unwrap());
    disk.borrow_mut().observe(None);
    disk.take().states
}

/// What a run that began to clear the folder of another has left: rows and a checkpoint that are not to be used.
fn without_plan() -> Tree {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out");
    let mut parts = Parts::<u64>::open(&output, &json!({"top-k": 5}), SavedRows::Resume).unwrap();
    parts.append(b"x\n", b"", Position { source: 0, record: 2 }, &2).unwrap();
    drop(parts);
    let file =
        |name: &str| (Path::new("out.parts").join(name), Some(std::fs::read(parts_dir(&output).join(name)).unwrap()));
    [LOCK, CHECKPOINT, ROWS].map(file).into_iter().chain([("out.parts".into(), None)]).collect()
}

fn build(root: &Path, tree: &Tree) {
    for (path, content) in tree {
        match content {
            None => std::fs::create_dir(root.join(path)).unwrap(),
            Some(bytes) => std::fs::write(root.join(path), bytes).unwrap(),
        }
    }
}

/// Finishes the run from `state`; gives what is wrong with the result.
fn wrong_after(state: &Tree, is_assembled: bool) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), state);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_else(|error| error.to_string());
    let finished = observed::during(|_| {}, || finish_run(dir.path(), is_assembled));
    let found = (finished.map_err(|error| error.to_string()), read("out"), read("out.errors.jsonl"));
    let expected = (Ok(()), ROWS_AND_FOOTER.to_owned(), ALL_ERRORS.to_owned());
    let is_left = dir.path().join("out.parts").exists();
    (found != expected || is_left).then(|| format!("{found:?} after {state:?}"))
}

#[test]
fn a_run_resumes_to_the_same_bytes_after_crashes_at_any_moments() {
    for is_assembled in [false, true] {
        // Until no crash of a resumed run leaves a state that is new.
        let mut known = BTreeSet::from([Tree::new(), without_plan()]);
        let mut next: Vec<Tree> = known.iter().cloned().collect();
        while let Some(state) = next.pop() {
            if let Some(wrong) = wrong_after(&state, is_assembled) {
                panic!("{wrong}");
            }
            next.extend(crash_states(&state, is_assembled).into_iter().filter(|state| known.insert(state.clone())));
        }
        assert!(known.len() > 50, "{} states", known.len());
    }
}
