//! The folder of parts may be in the hands of others: nothing outside it is moved, overwritten or removed, and the run says why it stops.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::score::run;

/// What is done to the folder of parts.
type Damage = fn(&Path);

/// Two rows are saved, and one has failed.
fn stopped_run() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows = "{\"text\": \"Bonn\"}\n{\"text\": \"Ulm\"}\nno JSON\n";
    std::fs::write(dir.path().join("a.jsonl"), rows).unwrap();
    let (code, message) = run(&dir, &["a.jsonl"], "o.jsonl", &["--max-errors", "0"]);
    assert_eq!(code, 1, "{message}");
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    for name in ["big.jsonl", "mine/rows", "mine/lock", "mine/plan.json", "mine/.a.tmp"] {
        std::fs::write(dir.path().join(name), "mine").unwrap();
    }
    dir
}

fn with_checkpoint(parts: &Path, change: impl FnOnce(&mut Value)) {
    let path = parts.join("checkpoint.json");
    let mut checkpoint: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut checkpoint);
    std::fs::write(&path, checkpoint.to_string()).unwrap();
}

fn linked(parts: &Path, name: &str, target: &str) {
    let _ = std::fs::remove_file(parts.join(name));
    symlink(target, parts.join(name)).unwrap();
}

#[test]
fn a_folder_of_parts_that_no_run_left_so_is_refused() {
    let cases: [(&str, Damage, &str); 12] = [
        ("whole above", |parts| with_checkpoint(parts, |it| it["whole"] = "../big.jsonl".into()), "has changed since"),
        (
            "whole at a path",
            |parts| {
                let path = parts.with_file_name("big.jsonl").display().to_string();
                with_checkpoint(parts, |it| it["whole"] = path.into());
            },
            "has changed since",
        ),
        ("counts", |parts| with_checkpoint(parts, |it| it["counts"]["documents"] = 2000.into()), "has changed since"),
        ("bytes", |parts| with_checkpoint(parts, |it| it["rows_bytes"] = 1.into()), "has changed since"),
        (
            "position",
            |parts| with_checkpoint(parts, |it| it["position"] = json!({"source": 0, "record": 1})),
            "has changed since",
        ),
        ("no JSON", |parts| std::fs::write(parts.join("checkpoint.json"), "{").unwrap(), "is not as this version"),
        ("fewer rows", |parts| std::fs::write(parts.join("rows"), "").unwrap(), "has 0 bytes where the checkpoint"),
        ("linked rows", |parts| linked(parts, "rows", "../big.jsonl"), "rows: is a link"),
        ("linked lock", |parts| linked(parts, "lock", "../new"), "lock: is a link"),
        ("linked plan", |parts| linked(parts, "plan.json", "../mine/plan.json"), "plan.json: is a link"),
        (
            "pipe",
            |parts| {
                std::fs::remove_file(parts.join("checkpoint.json")).unwrap();
                assert!(Command::new("mkfifo").arg(parts.join("checkpoint.json")).status().unwrap().success());
            },
            "checkpoint.json: is a pipe",
        ),
        (
            "linked folder",
            |parts| {
                std::fs::remove_dir_all(parts).unwrap();
                symlink("mine", parts).unwrap();
            },
            "o.jsonl.parts: is a link",
        ),
    ];
    for (name, damage, part) in cases {
        let dir = stopped_run();
        damage(&dir.path().join("o.jsonl.parts"));
        let (code, message) = run(&dir, &["a.jsonl"], "o.jsonl", &["--overwrite"]);
        assert!(code == 1 && message.contains(part), "{name}: {code} {message}");
        assert!(message.contains("remove the folder") || message.contains("name another output"), "{message}");
        assert!(!dir.path().join("o.jsonl").exists() && !dir.path().join("new").exists(), "{name}");
        for mine in ["big.jsonl", "mine/rows", "mine/lock", "mine/plan.json", "mine/.a.tmp"] {
            assert_eq!(std::fs::read(dir.path().join(mine)).unwrap(), b"mine", "{name}: {mine}");
        }
        assert_eq!(std::fs::read_dir(dir.path().join("mine")).unwrap().count(), 4, "{name}");
    }
}

#[test]
fn a_folder_of_the_user_is_left_as_it_is() {
    let dir = stopped_run();
    std::fs::rename(dir.path().join("mine"), dir.path().join("p.jsonl.parts")).unwrap();
    let (code, message) = run(&dir, &["a.jsonl"], "p.jsonl", &[]);
    assert!(
        code == 1 && message.contains("is a file that no run of ressort has written; move p.jsonl.parts"),
        "{message}"
    );
    for mine in ["rows", "lock", "plan.json", ".a.tmp"] {
        assert_eq!(std::fs::read(dir.path().join("p.jsonl.parts").join(mine)).unwrap(), b"mine");
    }
}
