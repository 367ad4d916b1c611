//! The program as it is installed: what it finds around itself, what it tells shells, `man` and administrators.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Server, ressort};
use crate::support::{copy_files, models_dir};

/// The program in `bin` of a folder that is laid out as a package: models in `share/ressort`, the library in `lib/ressort`.
struct Package {
    prefix: TempDir,
}

impl Package {
    fn new() -> Self {
        let prefix = tempfile::tempdir().unwrap();
        let path = |name: &str| prefix.path().join(name);
        for folder in ["bin", "lib/ressort", "share/ressort/models", "work"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        let built = env!("CARGO_BIN_EXE_ressort");
        std::fs::hard_link(built, path("bin/ressort"))
            .or_else(|_| std::fs::copy(built, path("bin/ressort")).map(|_| ()))
            .unwrap();
        let package = Self { prefix };
        package.add_model("ressort", "two-heads");
        package
    }

    fn path(&self, name: &str) -> PathBuf {
        self.prefix.path().join(name)
    }

    fn add_model(&self, name: &str, of: &str) {
        let folder = self.path("share/ressort/models").join(name);
        std::fs::create_dir(&folder).unwrap();
        copy_files(&models_dir().join(of), &folder);
    }

    /// Installs the library that the tests use, under the name that wheels give it.
    fn add_library(&self, file: &str) {
        let library = PathBuf::from(std::env::var_os("ORT_DYLIB_PATH").unwrap()).canonicalize().unwrap();
        std::fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(library, self.path(file)).unwrap();
    }

    /// The installed program in a folder without models, with nothing set that tells where things are.
    fn command(&self) -> Command {
        let mut command = Command::new(self.path("bin/ressort"));
        command.current_dir(self.path("work")).env("HOME", self.path("home")).env("RESSORT_PROVIDERS", "cpu");
        for name in ["ORT_DYLIB_PATH", "RESSORT_MODELS_DIR", "RESSORT_CACHE", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command
    }

    fn doctor(&self) -> (Value, Option<i32>) {
        let state = self.path("work/active.json");
        let args = ["doctor", "--json", "--", "--port", "0", "--state-file", state.to_str().unwrap()];
        let output = self.command().args(args).output().unwrap();
        (
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}")),
            output.status.code(),
        )
    }
}

fn check<'r>(report: &'r Value, name: &str) -> &'r Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}: {report:#}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn an_installed_program_finds_its_library_and_its_models() {
    for library in
        ["lib/ressort/libonnxruntime.so", "lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0"]
    {
        let package = Package::new();
        package.add_library(library);
        let (report, code) = package.doctor();
        assert_eq!((code, &report["ok"]), (Some(0), &Value::Bool(true)), "{report:#}");
        let found = &check(&report, "ONNX Runtime")["details"]["library"];
        assert_eq!(found.as_str().map(Path::new), Some(package.path(library).as_path()));
        assert_eq!(check(&report, "model ressort")["status"], "ok");
    }
}

#[test]
fn a_doctor_names_what_is_missing_and_ends_with_1() {
    let package = Package::new();
    std::fs::write(package.path("share/ressort/models/ressort/config.json"), "{").unwrap();
    let (report, code) = package.doctor();
    assert_eq!((code, &report["ok"]), (Some(1), &Value::Bool(false)));
    let finding = check(&report, "ONNX Runtime")["finding"].as_str().unwrap();
    for searched in ["bin/libonnxruntime.so", "lib/ressort/libonnxruntime.so", "/usr/lib/ressort", "ORT_DYLIB_PATH"] {
        assert!(finding.contains(searched), "{searched}: {finding}");
    }
    assert_eq!(check(&report, "model ressort")["status"], "failed");
    let printed = text(&package.command().args(["doctor", "--", "--prot", "1"]).output().unwrap());
    assert!(printed.contains("failed   configuration") && printed.contains("'--port'"), "{printed}");
}

#[test]
fn a_doctor_checks_the_settings_that_the_service_would_have() {
    let package = Package::new();
    package.add_library("lib/ressort/libonnxruntime.so");
    let config = package.path("work/ressort.toml");
    std::fs::write(&config, format!("state_file = {:?}\nport = 0\n", package.path("missing/active.json"))).unwrap();
    let doctor = |args: &[&str]| {
        let output = package.command().env("RESSORT_CONFIG", &config).args(["doctor", "--json"]).args(args).output();
        serde_json::from_slice::<Value>(&output.unwrap().stdout).unwrap()
    };
    let report = doctor(&[]);
    assert_eq!(check(&report, "configuration")["details"]["file"], config.to_str().unwrap());
    assert_eq!(check(&report, "state file")["status"], "warning");
    std::fs::write(&config, "prot = 1\n").unwrap();
    let report = doctor(&[]);
    assert!(check(&report, "configuration")["finding"].as_str().unwrap().contains("`port`"), "{report:#}");
}

#[test]
fn the_configuration_that_is_printed_names_the_models_folder_that_was_found() {
    let package = Package::new();
    let print = |args: &[&str]| text(&package.command().args(["serve", "--print-config"]).args(args).output().unwrap());
    let line = |shown: &str| {
        shown.lines().find(|line| line.starts_with("models_dir")).unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    let shown = print(&[]);
    let folder = package.path("share/ressort/models").canonicalize().unwrap();
    assert!(line(&shown).starts_with(&format!("models_dir = {folder:?} ")), "{shown}");
    assert!(line(&shown).ends_with("# default, as found on this machine"), "{shown}");
    let file = package.path("work/printed.toml");
    std::fs::write(&file, &shown).unwrap();
    let again = print(&["--config", file.to_str().unwrap()]);
    assert!(line(&again).starts_with(&format!("models_dir = {folder:?} ")), "{again}");
    std::fs::create_dir(package.path("work/models")).unwrap();
    assert!(line(&print(&[])).starts_with("models_dir = \"models\" "));
}

#[test]
fn a_server_loads_models_of_its_package_by_name() {
    let package = Package::new();
    package.add_library("lib/ressort/libonnxruntime.so");
    package.add_model("second", "lexicon-ner");
    let own = package.path("own");
    std::fs::create_dir(&own).unwrap();
    let mut command = package.command();
    command.stderr(std::process::Stdio::null());
    let server = Server::start_with(command, &["--model", "ressort", "--models-dir", own.to_str().unwrap()]);
    let answer = server
        .ask("PUT /v1/models/second HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.stop(), 0);
    assert!(own.join(".active.json").exists(), "the state is kept in the folder that was named");
}

#[test]
fn onnx_runtime_reports_to_nobody_and_keeps_nothing_for_it() {
    // Its telemetry begins with a device id and a database in the user's cache.
    let home = tempfile::tempdir().unwrap();
    for telemetry in [None, Some("0")] {
        let mut command = ressort();
        command.args(["inspect", models_dir().join("two-heads").to_str().unwrap()]).env("HOME", home.path());
        for name in ["XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ORT_DISABLE_TELEMETRY"] {
            command.env_remove(name);
        }
        let output = command.envs(telemetry.map(|value| ("ORT_DISABLE_TELEMETRY", value))).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let kept: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(kept.is_empty(), "{kept:?}");
    }
}

#[test]
fn the_version_is_one_line_or_all_that_answers_depend_on() {
    let short = text(&ressort().arg("-V").output().unwrap());
    assert_eq!(short, format!("ressort {}\n", env!("CARGO_PKG_VERSION")));
    let long = text(&ressort().arg("--version").output().unwrap());
    assert!(long.starts_with(&short), "{long}");
    for part in ["commit: ", "ONNX Runtime: 1.", "processor: "] {
        assert!(long.contains(part), "{part}: {long}");
    }
    let package = Package::new();
    let without = package.command().arg("--version").output().unwrap();
    assert!(without.status.success() && text(&without).contains("ONNX Runtime: not found; `ressort doctor`"));
}

#[test]
fn shells_and_man_know_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    assert!(ressort().arg("man").arg(&pages).status().unwrap().success());
    let bash = text(&ressort().args(["completions", "bash"]).output().unwrap());
    for command in
        ["serve", "score", "inspect", "pull", "models", "key", "evaluate", "doctor", "health", "completions", "man"]
    {
        let page = std::fs::read_to_string(pages.join(format!("ressort-{command}.1"))).unwrap();
        assert!(page.contains("Examples:"), "{command}");
        assert!(bash.contains(&format!("ressort__subcmd__{command}")), "{command}");
    }
    let page = std::fs::read_to_string(pages.join("ressort-serve.1")).unwrap();
    assert!(page.contains("RESSORT_PORT") && page.contains("\\-\\-run\\-timeout\\-s"), "{page}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(ressort().args(["completions", shell]).output().unwrap().stdout.len() > 1000, "{shell}");
    }
    let parsed = Command::new("bash").args(["-n", "-c", &bash]).status().unwrap();
    assert!(parsed.success(), "bash does not read its completions");
}
