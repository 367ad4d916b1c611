//! Models from a hub: a local server speaks its API, with the faults that hubs and networks have.

mod hub_server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use self::hub_server::{COMMIT, Hub, Request};
use crate::cli::ressort;
use crate::support::models_dir;

/// A hub with the files of a test model, a cache and a models folder.
struct Pull {
    hub: Hub,
    folder: TempDir,
}

impl Pull {
    fn of(model: &str) -> Self {
        Self { hub: Hub::start(&models_dir().join(model)), folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = ressort();
        command.arg("pull").args(args).args(["--models-dir", self.models().to_str().unwrap()]);
        for name in ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        {
            command.env_remove(name);
        }
        command.env("HF_HOME", self.folder.path().join("home")).env("HF_ENDPOINT", &self.hub.url);
        command
    }

    /// What the command prints, with its exit code first.
    fn run(&self, args: &[&str]) -> String {
        printed(&self.command(args).output().unwrap())
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// All files of the models folder, hidden ones too.
    fn pulled(&self) -> Vec<String> {
        let mut files = Vec::new();
        list(&self.models(), "", &mut files);
        files.sort();
        files
    }

    /// The requests for the content of a file since the last call.
    fn contents(&self, name: &str) -> Vec<Request> {
        let requests = self.hub.requests().into_iter();
        requests.filter(|request| request.path.ends_with(&format!("/{name}")) && request.is_storage).collect()
    }
}

fn printed(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{stdout}{stderr}", output.status.code().unwrap())
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => list(&entry.path(), &format!("{name}/"), files),
            false => files.push(name),
        }
    }
}

#[test]
fn a_repository_becomes_a_model_folder_that_is_served() {
    let pull = Pull::of("two-heads");
    let output = pull.command(&["org/two-heads@v1", "--name", "neu"]).env("HF_TOKEN", "hf_secret").output().unwrap();
    let text = printed(&output);
    let folder = pull.models().join("neu");
    for part in [&format!("pulled org/two-heads@v1 at commit {COMMIT}"), "model.onnx", "ressort inspect", "--model"] {
        assert!(text.starts_with("0\n") && text.contains(part), "{part}: {text}");
    }
    let expected = [
        ".pulled.json",
        "README.md",
        "config.json",
        "model.onnx",
        "ressort.toml",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(pull.pulled(), expected.map(|name| format!("neu/{name}")));
    for name in expected.iter().filter(|name| ![".pulled.json", "README.md"].contains(name)) {
        let of = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert!(of(&folder) == of(&models_dir().join("two-heads")), "{name}");
    }
    let record: Value = serde_json::from_slice(&std::fs::read(folder.join(".pulled.json")).unwrap()).unwrap();
    assert_eq!(
        (&record["repository"], &record["revision"], &record["commit"]),
        (&"org/two-heads".into(), &"v1".into(), &COMMIT.into())
    );
    assert!(ressort().arg("inspect").arg(&folder).output().unwrap().status.success());
    let requests = pull.hub.requests();
    assert!(requests[0].path.starts_with("/api/models/org/two-heads/revision/v1"), "{requests:?}");
    for request in &requests {
        let expected = (!request.is_storage).then(|| "Bearer hf_secret".to_owned());
        assert_eq!(request.authorization, expected, "the token is for the hub alone: {request:?}");
        assert!(!request.path.ends_with(".bin") && !request.path.ends_with(".safetensors"), "{request:?}");
    }
    // The cache has every file, so nothing is downloaded again.
    assert!(pull.run(&["org/two-heads@v1", "--name", "neu", "--force"]).starts_with("0\n"));
    assert_eq!(pull.hub.requests().len(), 1);
    let shared = pull.folder.path().join("home/hub/models--org--two-heads");
    assert_eq!(std::fs::read_to_string(shared.join("refs/v1")).unwrap(), COMMIT);
    assert!(shared.join("snapshots").join(COMMIT).join("model.onnx").exists());
}

#[test]
fn a_download_that_is_cut_continues_where_it_stopped() {
    let pull = Pull::of("two-heads");
    pull.hub.change(|hub| hub.cuts = vec![1000, 500]);
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("0\n"), "{text}");
    let ranges: Vec<_> = pull.contents("model.onnx").into_iter().map(|request| request.range).collect();
    assert_eq!(ranges, [None, Some("bytes=1000-".to_owned()), Some("bytes=1500-".to_owned())]);
    let read = |folder: &Path| std::fs::read(folder.join("two-heads/model.onnx")).unwrap();
    assert!(read(&pull.models()) == read(&models_dir()));
}

#[test]
fn the_next_command_continues_a_download_that_was_given_up() {
    let pull = Pull::of("two-heads");
    pull.hub.change(|hub| hub.cuts = [vec![1000], vec![0; 20]].concat());
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("1\n") && text.contains("run the command again, and it continues"), "{text}");
    assert!(pull.pulled().is_empty(), "{:?}", pull.pulled());
    pull.hub.change(|hub| hub.cuts.clear());
    pull.hub.requests();
    assert!(pull.run(&["org/two-heads"]).starts_with("0\n"));
    let contents = pull.contents("model.onnx");
    assert_eq!(contents.iter().map(|request| request.range.as_deref()).collect::<Vec<_>>(), [Some("bytes=1000-")]);
}

#[test]
fn a_server_that_knows_no_ranges_damages_nothing() {
    let pull = Pull::of("two-heads");
    pull.hub.change(|hub| (hub.cuts, hub.ignores_ranges) = (vec![1000], true));
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("0\n"), "{text}");
    let read = |folder: &Path| std::fs::read(folder.join("two-heads/model.onnx")).unwrap();
    assert!(read(&pull.models()) == read(&models_dir()));
}

#[test]
fn what_differs_from_its_checksum_is_refused_and_not_kept() {
    let pull = Pull::of("two-heads");
    pull.hub.change(|hub| hub.damages = true);
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("1\n") && text.contains("model.onnx is damaged: the hub says the SHA-256 "), "{text}");
    assert!(pull.pulled().is_empty());
    pull.hub.change(|hub| hub.damages = false);
    assert!(pull.run(&["org/two-heads"]).starts_with("0\n"));
    // A damaged file of the cache is replaced.
    let snapshot = pull.folder.path().join("home/hub/models--org--two-heads/snapshots").join(COMMIT);
    for content in ["", "{}"] {
        std::fs::write(snapshot.join("config.json"), content).unwrap();
        assert!(pull.run(&["org/two-heads", "--force"]).starts_with("0\n"));
        let read = |folder: &Path| std::fs::read(folder.join("two-heads/config.json")).unwrap();
        assert!(read(&pull.models()) == read(&models_dir()));
    }
}

#[test]
fn a_part_of_an_earlier_run_that_is_damaged_is_fetched_again() {
    let pull = Pull::of("two-heads");
    pull.hub.change(|hub| hub.cuts = [vec![1000], vec![0; 20]].concat());
    assert!(pull.run(&["org/two-heads"]).starts_with("1\n"));
    pull.hub.change(|hub| hub.cuts.clear());
    let blobs = std::fs::read_dir(pull.folder.path().join("home/hub/models--org--two-heads/blobs")).unwrap();
    let part = blobs.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "part"));
    std::fs::write(part.unwrap(), "x".repeat(500)).unwrap();
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("0\n"), "{text}");
}

#[test]
fn the_onnx_file_follows_the_precision_and_its_data_files_come_with_it() {
    let pull = Pull::of("bert-cased-ner-external-data");
    assert!(pull.run(&["org/ner"]).starts_with("0\n"));
    let data: Vec<String> = pull.pulled().into_iter().filter(|name| name.contains("onnx")).collect();
    assert_eq!(data.len(), 2, "{data:?}");
    assert!(ressort().arg("inspect").arg(pull.models().join("ner")).output().unwrap().status.success());
    let pull = Pull::of("bert-cased-ner-hub-layout");
    pull.hub.change(|hub| {
        let model = hub.files.iter().find(|(name, _)| name.ends_with(".onnx")).unwrap().1.clone();
        hub.files.retain(|name, _| !name.ends_with(".onnx"));
        for name in ["onnx/model.onnx", "onnx/model_int8.onnx", "special/net_fp16.onnx"] {
            hub.files.insert(name.to_owned(), model.clone());
        }
    });
    for (args, expected) in [
        (&[][..], "onnx/model.onnx"),
        (&["--precision", "int8"], "onnx/model_int8.onnx"),
        (&["--file", "special/net_fp16.onnx"], "special/net_fp16.onnx"),
    ] {
        let text = pull.run(&[&["org/hub", "--force"], args].concat());
        assert!(text.starts_with("0\n"), "{text}");
        let onnx: Vec<String> = pull.pulled().into_iter().filter(|name| name.ends_with(".onnx")).collect();
        assert_eq!(onnx, [format!("hub/{expected}")]);
        let inspected = ressort().arg("inspect").arg(pull.models().join("hub")).output().unwrap();
        assert!(printed(&inspected).contains(&format!("{expected} (")), "{}", printed(&inspected));
    }
    let text = pull.run(&["org/hub", "--name", "q", "--precision", "q4"]);
    assert!(text.contains("no ONNX file in q4; it has onnx/model.onnx (fp32), onnx/model_int8.onnx (int8)"), "{text}");
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let pull = Pull::of("two-heads");
    let (outside, named) = ("../outside.json", "[model]\ntruecase = \"../../outside.txt\"\n");
    pull.hub.change(|hub| drop(hub.files.insert(outside.to_owned(), b"x".to_vec())));
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("1\n") && text.contains("`../outside.json`, whose name leads out"), "{text}");
    pull.hub.change(|hub| {
        hub.files.remove(outside);
        hub.files.insert("ressort.toml".to_owned(), named.into());
    });
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("1\n") && text.contains("`../../outside.txt`, whose name leads out"), "{text}");
    let bad = pull.run(&["org/two-heads", "--name", "../neu"]);
    assert!(bad.starts_with("1\n") && bad.contains("model name `../neu`"), "{bad}");
    assert!(pull.pulled().is_empty() && !pull.folder.path().join("neu").exists());
}

#[test]
fn a_refusal_of_the_hub_names_the_remedy() {
    let pull = Pull::of("two-heads");
    for (refusal, token, expected) in [
        ((401, "GatedRepo"), "", "org/two-heads is gated: accept its terms at http://"),
        ((403, "GatedRepo"), "hf_x", "set HF_TOKEN to a token of that account"),
        ((401, "RepoNotFound"), "", "has no repository org/two-heads, or it is private"),
        ((404, "RepoNotFound"), "hf_x", "set HF_TOKEN to a token that may read it"),
        ((404, "RevisionNotFound"), "", "org/two-heads has no revision `main`; give a branch, tag or commit"),
        ((401, ""), "hf_x", "the hub refuses the token for org/two-heads (401); set HF_TOKEN"),
        ((401, ""), "", "or it is private"),
        ((429, ""), "", "the status 429; wait a while, or set HF_TOKEN"),
        ((503, ""), "", "the status 503; try again later"),
    ] {
        pull.hub.change(|hub| hub.refusal = Some(refusal));
        let text = printed(&pull.command(&["org/two-heads"]).env("HF_TOKEN", token).output().unwrap());
        assert!(text.starts_with("1\n") && text.contains(expected), "{refusal:?}: {text}");
        assert!(!text.contains("hf_x"), "{text}");
    }
    pull.hub.change(|hub| (hub.refusal, hub.files) = (None, Default::default()));
    let text = pull.run(&["org/two-heads"]);
    assert!(text.contains("org/two-heads has no config.json; "), "{text}");
    let nobody = printed(&pull.command(&["org/two-heads", "--endpoint", "http://127.0.0.1:9"]).output().unwrap());
    assert!(nobody.starts_with("1\n") && nobody.contains("check the network, HTTPS_PROXY"), "{nobody}");
    assert!(pull.run(&["two-heads"]).starts_with("2\n"));
    assert!(pull.pulled().is_empty());
}

#[test]
fn a_model_folder_is_replaced_only_when_told() {
    let pull = Pull::of("two-heads");
    let own = pull.models().join("two-heads");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("own"), "").unwrap();
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("1\n") && text.contains("replace it with --force, or give another name"), "{text}");
    assert!(pull.hub.requests().is_empty(), "nothing is downloaded in vain");
    pull.hub.change(|hub| hub.refusal = Some((503, "")));
    assert!(pull.run(&["org/two-heads", "--force"]).starts_with("1\n"));
    assert_eq!(pull.pulled(), ["two-heads/own"], "a failure leaves the old folder");
    pull.hub.change(|hub| hub.refusal = None);
    assert!(pull.run(&["org/two-heads", "--force"]).starts_with("0\n"));
    assert!(!own.join("own").exists() && own.join("model.onnx").exists());
}

#[test]
fn a_hub_that_lists_names_only_gives_sizes_and_checksums_with_the_files() {
    let pull = Pull::of("two-heads");
    pull.hub.change(|hub| hub.is_bare = true);
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("0\n"), "{text}");
    pull.hub.change(|hub| hub.damages = true);
    std::fs::remove_dir_all(pull.folder.path().join("home")).unwrap();
    let text = pull.run(&["org/two-heads", "--force"]);
    assert!(text.starts_with("1\n") && text.contains("is damaged"), "{text}");
}

#[test]
fn files_that_the_disk_cannot_hold_are_not_begun() {
    let pull = Pull::of("two-heads");
    pull.hub.change(|hub| hub.claimed_bytes = Some(1 << 60));
    let text = pull.run(&["org/two-heads"]);
    assert!(text.starts_with("1\n") && text.contains("MB free, and "), "{text}");
    assert_eq!(pull.hub.requests().len(), 1, "only the listing");
}
