//! The folder of parts: what is cut off, moved, removed and refused.

use serde_json::json;

use super::*;

type Counts = u64;
type Assemble = fn(&Path, &Path) -> Result<(), PartsError>;

struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Parts<Counts> {
        Parts::<Counts>::open(&self.at("out"), &json!({"top-k": 5}), SavedRows::Resume).unwrap()
    }

    /// Two rows and an error in the checkpoint.
    fn started(&self) -> Parts<Counts> {
        let mut parts = self.open();
        parts.append(b"a\nb\n", b"e\n", Position { source: 0, record: 3 }, &3).unwrap();
        parts
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_else(|error| format!("{name}: {error}"))
    }

    fn check_published(&self) {
        assert_eq!((self.read("out"), self.read("out.errors.jsonl")), ("a\nb\nend".to_owned(), "e\n".to_owned()));
        assert!(!self.at("out.parts").exists());
    }
}

#[test]
fn bytes_after_those_of_the_checkpoint_are_cut_off() {
    let case = Case::new();
    drop(case.started());
    std::fs::write(case.at("out.parts/rows"), "a\nb\nc\nhal").unwrap();
    std::fs::write(case.at("out.parts/errors"), "e\nf").unwrap();
    std::fs::write(case.at("out.parts/.x.tmp"), "{\"posit").unwrap();
    let mut parts = case.open();
    assert_eq!(parts.checkpoint.position, Position { source: 0, record: 3 });
    parts.complete(b"end", None::<Assemble>).unwrap();
    parts.publish().unwrap();
    case.check_published();
}

#[test]
fn rows_edited_at_the_same_length_are_refused() {
    for (name, content) in [("rows", "x\nb\n"), ("errors", "E\n")] {
        let case = Case::new();
        drop(case.started());
        std::fs::write(case.at("out.parts").join(name), content).unwrap();
        check_refused(&case, name);
    }
    let assemble =
        |_: &Path, whole: &Path| std::fs::write(whole, "whole").map_err(|error| PartsError::write(whole, error));
    for (name, is_assembled) in [("rows", false), ("assembled", true), ("errors", false)] {
        let case = Case::new();
        let mut parts = case.started();
        match is_assembled {
            true => parts.complete(b"end", Some(assemble)).unwrap(),
            false => parts.complete(b"end", None::<Assemble>).unwrap(),
        }
        drop(parts);
        let path = case.at("out.parts").join(name);
        let mut content = std::fs::read(&path).unwrap();
        content[0] ^= 1;
        std::fs::write(&path, content).unwrap();
        check_refused(&case, name);
    }
}

fn check_refused(case: &Case, name: &str) {
    let opened = Parts::<Counts>::open(&case.at("out"), &json!({"top-k": 5}), SavedRows::Resume);
    let message = opened.err().expect("an edited file is refused").to_string();
    assert!(message.contains(name) && message.contains("has changed since a run wrote it"), "{message}");
}

#[test]
fn a_checkpoint_of_an_earlier_version_has_no_checksums_and_gets_them() {
    let case = Case::new();
    let mut parts = case.started();
    (parts.checkpoint.rows_crc, parts.checkpoint.errors_crc) = (None, None);
    write_checkpoint(&parts.dir, &parts.checkpoint).unwrap();
    drop(parts);
    let mut parts = case.open();
    parts.append(b"c\n", b"", Position { source: 0, record: 4 }, &4).unwrap();
    drop(parts);
    std::fs::write(case.at("out.parts/rows"), "a\nX\nc\n").unwrap();
    check_refused(&case, "rows");
}

#[test]
fn a_run_that_died_while_it_finished_is_completed_by_the_next() {
    // With the footer written, whole, with the errors moved, and with the output moved.
    for n_steps in 0..4 {
        let case = Case::new();
        let mut parts = case.started();
        match n_steps {
            0 => std::fs::write(case.at("out.parts/rows"), "a\nb\nend").unwrap(),
            _ => parts.complete(b"end", None::<Assemble>).unwrap(),
        }
        drop(parts);
        if n_steps > 1 {
            std::fs::rename(case.at("out.parts/errors"), case.at("out.errors.jsonl")).unwrap();
        }
        if n_steps > 2 {
            std::fs::rename(case.at("out.parts/rows"), case.at("out")).unwrap();
        }
        assert_eq!(is_published(&case.at("out")).unwrap(), n_steps > 2);
        let mut parts = case.open();
        parts.complete(b"end", None::<Assemble>).unwrap();
        parts.publish().unwrap();
        case.check_published();
    }
}

#[test]
fn a_run_that_died_while_it_removed_its_folder_leaves_nothing_in_the_way() {
    let case = Case::new();
    std::fs::create_dir(case.at(".out.parts.finished")).unwrap();
    std::fs::write(case.at(".out.parts.finished/plan.json"), "{}").unwrap();
    let mut parts = case.started();
    assert!(!case.at(".out.parts.finished").exists());
    parts.complete(b"end", None::<Assemble>).unwrap();
    parts.publish().unwrap();
    case.check_published();
    assert!(!case.at(".out.parts.finished").exists());
}

#[test]
fn files_that_no_run_has_written_stay() {
    let case = Case::new();
    let mut parts = case.started();
    std::fs::write(case.at("out.parts/mine"), "mine").unwrap();
    parts.complete(b"end", None::<Assemble>).unwrap();
    parts.publish().unwrap();
    assert_eq!((case.read("out.parts/mine"), case.read("out")), ("mine".to_owned(), "a\nb\nend".to_owned()));
    assert_eq!(std::fs::read_dir(case.at("out.parts")).unwrap().count(), 1);
}

#[test]
fn an_assembled_output_takes_the_place_of_the_rows() {
    let case = Case::new();
    let assemble = |rows: &Path, whole: &Path| {
        std::fs::copy(rows, whole).map(|_| ()).map_err(|error| PartsError::write(whole, error))
    };
    // Half of it, as a process that died while it assembled leaves it.
    drop(case.started());
    std::fs::write(case.at("out.parts/assembled"), "half").unwrap();
    let mut parts = case.open();
    parts.complete(b"end", Some(assemble)).unwrap();
    parts.publish().unwrap();
    case.check_published();
}

#[test]
fn missing_rows_of_the_checkpoint_are_an_error_with_a_remedy() {
    let case = Case::new();
    drop(case.started());
    std::fs::write(case.at("out.parts/rows"), "a").unwrap();
    let error =
        Parts::<Counts>::open(&case.at("out"), &json!({"top-k": 5}), SavedRows::Resume).err().unwrap().to_string();
    assert!(error.contains("has 1 bytes where the checkpoint counts 4; remove the folder"), "{error}");
    assert!(
        Parts::<Counts>::open(&case.at("out"), &json!({"top-k": 5}), SavedRows::Remove).is_ok(),
        "a new run does not care"
    );
}

#[test]
fn a_run_without_errors_removes_the_list_of_an_earlier_run() {
    let case = Case::new();
    std::fs::write(case.at("out.errors.jsonl"), "old").unwrap();
    let mut parts = case.open();
    parts.complete(b"", None::<Assemble>).unwrap();
    parts.publish().unwrap();
    assert_eq!((case.read("out").as_str(), case.at("out.errors.jsonl").exists()), ("", false));
}

#[test]
fn a_whole_output_that_is_nowhere_is_an_error_and_nothing_is_removed() {
    for missing in ["rows", "errors"] {
        let case = Case::new();
        let mut parts = case.started();
        parts.complete(b"end", None::<Assemble>).unwrap();
        drop(parts);
        std::fs::remove_file(case.at("out.parts").join(missing)).unwrap();
        let error = case.open().publish().err().unwrap().to_string();
        assert!(error.contains("is missing, and so is") && error.contains("remove the folder"), "{error}");
        assert!(case.at("out.parts/checkpoint.json").exists());
    }
}

#[test]
fn a_lock_file_that_was_removed_meanwhile_locks_nothing() {
    let case = Case::new();
    drop(case.started());
    let path = case.at("out.parts/lock");
    let file = File::open(&path).unwrap();
    assert!(is_file_at(&file, &path));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(!is_file_at(&file, &path));
}

/// Why the folder cannot be used.
fn refused(case: &Case) -> String {
    Parts::<Counts>::open(&case.at("out"), &json!({"top-k": 5}), SavedRows::Resume).err().unwrap().to_string()
}

#[test]
fn a_checkpoint_that_no_run_wrote_is_refused() {
    for (old, new) in [
        ("\"whole\": null", "\"whole\": \"../mine\""),
        ("\"whole\": null", "\"whole\": \"rows\""),
        ("\"rows_bytes\": 4", "\"rows_bytes\": 2"),
        ("\"counts\": 3", "\"counts\": 300"),
        ("\"record\": 3", "\"record\": 2"),
        ("\"checksum\"", "\"other\""),
    ] {
        let case = Case::new();
        drop(case.started());
        let checkpoint = case.read("out.parts/checkpoint.json");
        let changed = checkpoint.replace(old, new);
        assert_ne!(changed, checkpoint, "{old}");
        std::fs::write(case.at("out.parts/checkpoint.json"), changed).unwrap();
        let error = refused(&case);
        assert!(error.contains("has changed since a run wrote it; remove the folder"), "{new}: {error}");
        assert_eq!(case.read("out.parts/rows"), "a\nb\n", "{new}");
        assert!(is_published(&case.at("out")).is_err(), "{new}");
    }
}

#[test]
fn a_checkpoint_names_no_other_file() {
    let case = Case::new();
    let mut parts = case.started();
    parts.checkpoint.whole = Some("../mine".to_owned());
    write_checkpoint(&parts.dir, &parts.checkpoint).unwrap();
    drop(parts);
    assert!(refused(&case).contains("names `../mine`, which no run writes"));
}

#[test]
fn a_whole_output_of_another_size_is_not_published() {
    for name in ["rows", "errors"] {
        let case = Case::new();
        let mut parts = case.started();
        parts.complete(b"end", None::<Assemble>).unwrap();
        drop(parts);
        std::fs::write(case.at("out.parts").join(name), "a").unwrap();
        assert!(refused(&case).contains("has 1 bytes where the checkpoint counts"), "{name}");
    }
}

/// What is put in the place of a part, and what the message calls it.
type Replacement = (fn(&Path, &Path), &'static str);

#[test]
fn no_part_is_a_link_a_folder_or_a_pipe() {
    let replacements: [Replacement; 4] = [
        (|part, mine| std::os::unix::fs::symlink(mine, part).unwrap(), "is a link"),
        (|part, mine| std::fs::hard_link(mine, part).unwrap(), "is a file that has another name too (a hard link)"),
        (|part, _| std::fs::create_dir(part).unwrap(), "is a folder"),
        (
            |part, _| assert!(std::process::Command::new("mkfifo").arg(part).status().unwrap().success()),
            "is a pipe or a device",
        ),
    ];
    for (name, (replace, kind)) in OWN_FILES.iter().flat_map(|name| replacements.map(|it| (name, it))) {
        let case = Case::new();
        std::fs::write(case.at("mine"), "mine").unwrap();
        drop(case.started());
        let part = case.at("out.parts").join(name);
        let _ = std::fs::remove_file(&part);
        replace(&part, &case.at("mine"));
        let error = refused(&case);
        assert!(error.contains(kind) && error.contains("name another output"), "{name}: {error}");
        assert_eq!(case.read("mine"), "mine", "{name}");
    }
}

#[test]
fn the_folder_itself_is_no_link() {
    for name in ["out.parts", ".out.parts.finished"] {
        let case = Case::new();
        std::fs::create_dir(case.at("mine")).unwrap();
        OWN_FILES.iter().for_each(|part| std::fs::write(case.at("mine").join(part), "mine").unwrap());
        std::os::unix::fs::symlink("mine", case.at(name)).unwrap();
        let error = refused(&case);
        assert!(error.contains("is a link, and a run keeps its parts in a folder"), "{name}: {error}");
        assert!(OWN_FILES.iter().all(|part| case.read(&format!("mine/{part}")) == "mine"), "{name}");
    }
}

#[test]
fn files_of_the_user_are_not_taken_for_parts() {
    for name in [PLAN, CHECKPOINT, ROWS, ERRORS, ASSEMBLED, ".x.tmp"] {
        let case = Case::new();
        std::fs::create_dir(case.at("out.parts")).unwrap();
        std::fs::write(case.at("out.parts").join(name), "mine").unwrap();
        let error = refused(&case);
        assert!(error.contains("is a file that no run of ressort has written; move"), "{name}: {error}");
        assert_eq!(case.read(&format!("out.parts/{name}")), "mine");
        assert_eq!(std::fs::read_dir(case.at("out.parts")).unwrap().count(), 1, "{name}");
    }
}
