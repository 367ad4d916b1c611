//! Tests of the layers of settings, of the file's errors, and of the table of keys in the manual.

use super::*;

fn parsed(file: &Path, flags: &[&str]) -> Result<Cli, ParseError> {
    let file = file.to_string_lossy();
    let args = ["ressort", "serve", "--config", &file].into_iter().chain(flags.iter().copied());
    parse(args.map(OsString::from))
}

/// What a file and flags lead to: the settings as text, or the message of the error without the name of the file.
fn outcome(text: &str, flags: &[&str]) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    match parsed(file.path(), flags) {
        Ok(Cli { command: Command::Serve(args), .. }) => Ok(args.settings.to_string()),
        Ok(_) => panic!("another command"),
        Err(ParseError::Config(error)) => Err(error.to_string().replace(file.path().to_str().unwrap(), "FILE")),
        Err(ParseError::Usage(error)) => Err(error.to_string()),
    }
}

/// A key of a client.
fn entry(name: &str, n: usize, rest: &str) -> String {
    format!("[[keys]]\nname = \"{name}\"\nhash = \"sha256:{}\"\n{rest}", format!("{n:x}").repeat(64))
}

/// The line of a key, with its spaces made one.
fn line(settings: &str, key: &str) -> String {
    let line = settings.lines().find(|line| line.trim_start_matches("# ").starts_with(&format!("{key} =")));
    let line = line.unwrap_or_else(|| panic!("{key} is missing in {settings}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_flag_has_a_key_and_a_variable_of_its_name() {
    let root = Cli::command();
    let args = configurable(&root);
    assert!(args.len() > 25, "{}", args.len());
    for arg in args {
        let variable = keys::variable(arg);
        assert_eq!(variable, Some(format!("{}{}", keys::PREFIX, keys::key_of(arg).to_uppercase())), "{arg}");
    }
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let text = "port = 9000\nmax_characters = 0x10\nrequire_gpu = true\nproviders = [\"cpu\"]\nlog_format = \"json\"\n";
    let settings = outcome(text, &["--port", "9001", "--require-gpu=false"]).unwrap();
    for (key, expected) in [
        ("port", "port = 9001 # flag --port"),
        ("require_gpu", "require_gpu = false # flag --require-gpu"),
        ("max_documents", "max_documents = 1000 # default"),
        ("admin_key_file", "# admin_key_file = # not set"),
    ] {
        assert_eq!(line(&settings, key), expected);
    }
    for (key, value, n) in [("max_characters", "16", 2), ("providers", "[\"cpu\"]", 4), ("log_format", "\"json\"", 5)] {
        let line = line(&settings, key);
        assert!(line.starts_with(&format!("{key} = {value} # /")) && line.ends_with(&format!(":{n}")), "{line}");
    }
}

#[test]
fn the_settings_shown_are_a_file_with_the_same_settings() {
    let text =
        "host = \"::1\"\nmodel = [\"a=/x\", \"b=/y \\\"z\\\"\"]\ntimeout_s = 7\nallow_anonymous = true\n".to_owned();
    let text =
        text + &entry("a", 1, "scopes = [\"read\", \"admin\"]\nrequests_per_minute = 60\n") + &entry("b \u{fc}", 2, "");
    let shown = outcome(&text, &[]).unwrap();
    let again = outcome(&shown, &[]).unwrap();
    let values = |shown: &str| -> Vec<String> {
        let value = |line: &str| line.rsplit_once(" # ").map_or(line, |(value, _)| value).trim().to_owned();
        shown.lines().skip(1).map(value).collect()
    };
    assert_eq!(values(&again), values(&shown));
    assert!(shown.contains("model = [\"a=/x\", "), "{shown}");
    let keys = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        match parsed(file.path(), &[]).ok().unwrap().command {
            Command::Serve(args) => args.settings.keys,
            _ => panic!("another command"),
        }
    };
    assert_eq!(keys(&shown), keys(&text));
    assert_eq!(keys(&shown).len(), 2);
}

#[test]
fn a_secret_is_never_shown() {
    let settings = outcome("admin_key = \"geheim-1\"\n", &["--api-key", "geheim-2"]).unwrap();
    assert!(!settings.contains("geheim"), "{settings}");
    assert_eq!(
        line(&settings, "api_key"),
        "# api_key = (hidden) # flag --api-key; not printed: set RESSORT_API_KEY again"
    );
    for text in ["api_key = 471147114711\n", "api_key = [\"geheim\"]\n", "api_key = \"\"\n"] {
        let error = outcome(text, &[]).unwrap_err();
        assert!(error.starts_with("FILE:1: `api_key`"), "{error}");
        assert!(!error.contains("4711") && !error.contains("geheim"), "{error}");
    }
}

#[test]
fn keys_of_clients_are_read_and_shown() {
    let two = entry("a", 1, "scopes = [\"read\", \"admin\"]\nrequests_per_minute = 60\n")
        + &entry("b", 2, "documents_per_day = 5\n");
    let settings = outcome(&two, &[]).unwrap();
    for part in [
        entry("a", 1, "scopes = [\"read\", \"admin\"]\nrequests_per_minute = 60\n"),
        entry("b", 2, "scopes = [\"read\"]\ndocuments_per_day = 5\n"),
    ] {
        assert!(settings.contains(&part), "{settings}");
    }
    for (text, expected) in [
        (entry("a", 1, "") + &entry("a", 2, ""), "FILE:4: two keys have the name of `a`; every key has a separate one"),
        (entry("a", 1, "") + &entry("b", 1, ""), "FILE:4: two keys have the hash of `a`; every key has a separate one"),
        (entry("a", 1, "scopes = \"read\"\n"), "FILE:4: `scopes` of a key: expected an array of `read` and `admin`"),
        (entry("a", 1, "scopes = []\n"), "FILE:4: `scopes` of a key is empty"),
        (
            entry("a", 1, "scopes = [\"reed\"]\n"),
            "FILE:4: `scopes` of a key: `reed` is not one of `read`, `admin`; did you mean `read`?",
        ),
        (
            entry("a", 1, "requests_per_day = 0\n"),
            "FILE:4: `requests_per_day` of a key = 0: give a whole number of at least 1",
        ),
        (
            entry("a", 1, "requests_per_day = \"5\"\n"),
            "FILE:4: `requests_per_day` of a key: expected an integer; found the string",
        ),
    ] {
        let error = outcome(&text, &[]).expect_err(&text);
        assert!(error.starts_with(expected), "{text:?} gives {error}");
    }
}

#[test]
fn a_flag_replaces_what_it_excludes_in_the_file() {
    let settings = outcome("admin_key_file = \"/x\"\n", &["--admin-key", "k"]).unwrap();
    assert_eq!(line(&settings, "admin_key_file"), "# admin_key_file = # not set");
    let error = outcome("admin_key = \"k\"\nadmin_key_file = \"/x\"\n", &[]).unwrap_err();
    assert_eq!(error, "FILE:2: `admin_key_file` and `admin_key` exclude each other; remove one of them");
}

#[test]
fn what_is_wrong_in_the_file_is_named_with_its_line() {
    for (text, expected) in [
        ("\nmax_charcters = 5\n", "FILE:2: the key `max_charcters` is unknown; did you mean `max_characters`?"),
        ("max-characters = 5\n", "FILE:1: the key `max-characters` is unknown; did you mean `max_characters`?"),
        ("xyz = 1\n", "FILE:1: the key `xyz` is unknown; `ressort serve --print-config` lists all keys"),
        ("config = \"x\"\n", "FILE:1: the key `config` is unknown"),
        ("[server]\nport = 1\n", "FILE:1: the key `server` is unknown; keys are written without sections"),
        ("port = \"8080\"\n", "FILE:1: `port`: expected an integer, such as 8080; found the string \"8080\""),
        ("\n\nport = 70000\n", "FILE:3: `port` = 70000: give a whole number from 0 to 65535, such as 8080"),
        ("max_documents = 0\n", "FILE:1: `max_documents` = 0: give a whole number of at least 1, such as 1000"),
        ("max_documents = -1\n", "FILE:1: `max_documents` = -1: give a whole number of at least 1, such as 1000"),
        ("timeout_s = -1\n", "FILE:1: `timeout_s` = -1: give a whole number from 1 to 86400, such as 60"),
        ("max_head_bytes = 1\n", "FILE:1: `max_head_bytes` = 1: give a whole number from 1000 to "),
        ("timeout_s = 1.5\n", "FILE:1: `timeout_s`: expected an integer, such as 60; found the float 1.5"),
        (
            "require_gpu = \"yes\"\n",
            "FILE:1: `require_gpu`: expected true or false, such as false; found the string \"yes\"",
        ),
        (
            "host = \"localhost\"\n",
            "FILE:1: `host` = localhost: give an IP address, such as 127.0.0.1 (this machine only) or 0.0.0.0 (every IPv4 address of this machine)",
        ),
        ("model = [\"a\",\n 5]\n", "FILE:2: `model`: expected a string or an array of strings; found the integer 5"),
        ("providers = [\"tpu\"]\n", "FILE:1: `providers` = tpu: `tpu` is not one of `cuda`, `cpu`"),
        ("log_format = \"jsn\"\n", "FILE:1: `log_format` = jsn: it is not one of `text`, `json`; did you mean `json`?"),
        ("[[key]]\nname = \"a\"\n", "FILE:1: the key `key` is unknown; did you mean `keys`?"),
        ("keys = 5\n", "FILE:1: `keys`: expected tables; begin each key with the line `[[keys]]`"),
        ("[[keys]]\nname = \"a\"\n", "FILE:1: a key has no `hash`; `ressort key new` prints one that has"),
        (
            "[[keys]]\nname = \"a\"\nhash = \"geheim\"\n",
            "FILE:3: `hash` of a key: expected `sha256:` and 64 hexadecimal digits",
        ),
        (
            "[[keys]]\nname = \"\"\nhash = \"\"\n",
            "the configuration has 2 errors:\n  FILE:2: `name` of a key: it is blank",
        ),
        (
            "[[keys]]\nnam = \"a\"\n",
            "the configuration has 3 errors:\n  FILE:1: a key has no `name`; `ressort key new` prints one that has\n  FILE:1: a key has no `hash`; `ressort key new` prints one that has\n  FILE:2: a key has no `nam`; did you mean `name`?",
        ),
        ("port = 1\nport = 2\n", "FILE:2: this is not TOML: duplicate key"),
        ("port = \n", "FILE:1: this is not TOML: "),
    ] {
        let error = outcome(text, &[]).expect_err(text);
        assert!(error.starts_with(expected), "{text:?} gives {error}");
    }
    let Err(ParseError::Config(error)) = parsed(Path::new("/nowhere/r.toml"), &[]) else { panic!("no file") };
    assert!(
        error.to_string().starts_with("/nowhere/r.toml: the configuration file cannot be read: No such file"),
        "{error}"
    );
}

#[test]
fn all_that_is_wrong_in_the_file_is_named_at_once_in_the_order_of_its_lines() {
    let text = "prot = 8080\nmax_documents = 0\nhost = \"127.0.0.1\"\ntimeout_s = \"5\"\nadmin_key = \"a\"\nadmin_key_file = \"b\"\nzzz = 1\n";
    let text = text.to_owned() + &entry("a", 1, "scope = [\"read\"]\nrequests_per_day = -1\n") + &entry("a", 1, "");
    let expected = "the configuration has 7 errors:
  FILE:1: the key `prot` is unknown; did you mean `port`?
  FILE:2: `max_documents` = 0: give a whole number of at least 1, such as 1000
  FILE:4: `timeout_s`: expected an integer, such as 60; found the string \"5\"
  FILE:6: `admin_key_file` and `admin_key` exclude each other; remove one of them
  FILE:7: the key `zzz` is unknown; `ressort serve --print-config` lists all keys
  FILE:11: a key has no `scope`; did you mean `scopes`?
  FILE:12: `requests_per_day` of a key = -1: give a whole number of at least 1, or leave it out for no limit";
    assert_eq!(outcome(&text, &[]).unwrap_err(), expected);
    let error = outcome("port = \nhost = 5\ntimeout_s = [\n", &[]).unwrap_err();
    assert!(error.matches("this is not TOML").count() >= 2 && error.contains("FILE:1: "), "{error}");
}

/// The rows of the table of keys in the manual.
fn rows() -> Vec<String> {
    let root = Cli::command();
    let row = |arg: &Arg| {
        let default = keys::default_of(arg);
        let kind = keys::Kind::of(arg);
        let default = match default.is_empty() || arg.is_hide_default_value_set() && kind != keys::Kind::Boolean {
            true => String::new(),
            false => format!("`{}`", kind.write(&default)),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        format!("| `{}` | {default} | {help} |", keys::key_of(arg))
    };
    configurable(&root).into_iter().map(row).collect()
}

#[test]
fn the_manual_lists_every_key_with_its_default() {
    const START: &str = "| key | default | meaning |\n|---|---|---|\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let manual = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = manual.split_once(START).expect("docs/configuration.md has the table of keys");
    let (table, after) = rest.split_once("\n\n").unwrap();
    let expected = rows().join("\n");
    if std::env::var_os("RESSORT_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{START}{expected}\n\n{after}")).unwrap();
    } else {
        assert_eq!(table, expected, "RESSORT_UPDATE_DOCS=1 cargo test the_manual_lists_every_key writes it again");
    }
}
