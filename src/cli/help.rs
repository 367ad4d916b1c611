//! The ends of help texts: examples of each command for `--help`, and what `-h` leaves out.

use clap::Arg;

use super::config::Kind;

pub const MORE: &str = "--help describes every option and shows examples";

pub const SERVE: &str = "\
Examples:
  ressort serve
  ressort serve --port 9000 --model ressort-mini
  ressort serve --model news=/srv/models/news --model ressort --topics news --entities ressort
  ressort serve --host 0.0.0.0 --api-key SECRET --admin-key-file /etc/ressort/admin.key

Signals: SIGHUP reads configuration, certificate, baselines and changed model folders again; SIGTERM ends the server after the requests under way";

pub const SCORE: &str = "\
Examples:
  ressort score archive/*.jsonl.gz --text-column title --text-column body --output scored.parquet
  ressort score articles/ --section last-line --output scored.jsonl
  ressort score in.csv --keep-text --keep-errors --output out.csv --output-delimiter ';' --output-bom
  ressort score in.jsonl --output tasks.json --output-format label-studio
  ressort score archive/ --output scored.jsonl --dry-run
  zcat in.jsonl.gz | ressort score - --format jsonl --output - > out.jsonl

Exit codes: 0 all rows scored, 1 failed, 2 bad usage, 3 some rows could not be scored, 130 stopped by Ctrl-C, 143 by SIGTERM";

pub const EVALUATE: &str = "\
Examples:
  ressort evaluate --data gold.jsonl --model ressort --model news=/srv/models/news --html report.html
  ressort evaluate --data gold.jsonl --model old.jsonl --model new/ --require 'entities.f1 >= baseline - 0.5'

Exit codes: 0 done, 1 failed, 2 bad usage, 4 a requirement is not met";

pub const INSPECT: &str = "\
Examples:
  ressort inspect models/ressort
  ressort inspect ./checkpoint --json

Exit codes: 0 the folder would be served, 1 it would not, 2 bad usage";

pub const PULL: &str = "\
Examples:
  ressort pull ORG/NAME
  ressort pull ORG/NAME@v1.0 --precision int8 --name news
  ressort pull ORG/NAME --models-dir /var/lib/ressort/models --force

Environment: HF_TOKEN is the token of an account, for gated and private repositories. HF_HOME is where downloads are kept.
HTTPS_PROXY is the proxy to use, and SSL_CERT_FILE the certificates to trust.";

pub const MODELS: &str = "\
Examples:
  ressort models list
  ressort models load news
  ressort models shadow news --share 0.05
  ressort models activate --topics news
  ressort models rollback --server http://127.0.0.1:9000";

pub const HEALTH: &str = "\
Examples:
  ressort health
  ressort health --server http://127.0.0.1:9000

Exit codes: 0 every model answers, 1 the server or a model does not, 2 bad usage";

pub const KEY: &str = "\
Examples:
  ressort key new --name archive
  ressort key new --name operator --scope read,admin >> /etc/ressort/ressort.toml";

pub const DOCTOR: &str = "\
Examples:
  ressort doctor
  ressort doctor --json -- --config /etc/ressort/ressort.toml --model /srv/models/news

Exit codes: 0 nothing keeps the service from running, 1 something does, 2 bad usage";

pub const COMPLETIONS: &str = "\
Examples:
  ressort completions bash > /etc/bash_completion.d/ressort
  ressort completions zsh > ~/.zfunc/_ressort
  ressort completions fish > ~/.config/fish/completions/ressort.fish";

pub const MAN: &str = "\
Examples:
  ressort man /usr/local/share/man/man1";

/// Options that few need, which `-h` leaves out.
const RARE: [&str; 21] = [
    "admin_key",
    "allowed_hosts",
    "arithmetic",
    "cache_mb",
    "cors_origins",
    "grace_period_s",
    "head_timeout_s",
    "idle_timeout_s",
    "label_language",
    "max_body_bytes",
    "max_connections",
    "max_documents",
    "max_queued_windows",
    "read_timeout_s",
    "request_memory_mb",
    "require_gpu",
    "resamples",
    "run_timeout_s",
    "seed",
    "shadow_samples",
    "stall_timeout_s",
];

/// An option as help texts show it. A negative number after it is its value, which is then refused with the range.
pub fn shown(arg: Arg) -> Arg {
    let is_rare = RARE.contains(&arg.get_id().as_str());
    let is_number = matches!(Kind::of(&arg), Kind::Integer | Kind::Number);
    arg.hide_short_help(is_rare).allow_negative_numbers(is_number)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// The words of a command line; quotes keep spaces together.
    fn words(line: &str) -> Vec<String> {
        let quoted = line.split('\'').enumerate();
        let words = quoted.flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        words.collect()
    }

    #[test]
    fn every_example_is_a_command_line_that_is_understood() {
        let commands = Cli::command();
        let mut n_examples = 0;
        for command in commands.get_subcommands() {
            let help =
                command.get_after_long_help().unwrap_or_else(|| panic!("{} has no examples", command.get_name()));
            let help = help.to_string();
            for line in help.lines().filter_map(|line| line.strip_prefix("  ")) {
                let call = &line[line.find("ressort ").unwrap()..];
                let call = call.split(" > ").next().unwrap().split(" >> ").next().unwrap();
                let parsed = Cli::command().try_get_matches_from(words(call));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                n_examples += 1;
            }
        }
        assert!(n_examples > 15);
    }

    #[test]
    fn the_short_help_is_the_shorter_one() {
        let lines = |text: String| text.lines().count();
        for command in ["serve", "score", "evaluate"] {
            let mut root = Cli::command();
            let command = root.find_subcommand_mut(command).unwrap();
            let (short, long) = (command.render_help().to_string(), command.render_long_help().to_string());
            assert!(3 * lines(short.clone()) < 2 * lines(long.clone()), "{short}");
            assert!(short.contains(MORE) && !short.contains("Examples:") && long.contains("Examples:"));
            assert!(!short.contains("--run-timeout-s") && long.contains("--run-timeout-s"), "{short}");
        }
    }

    #[test]
    fn rare_options_exist() {
        let root = Cli::command();
        let ids: Vec<String> = root
            .get_subcommands()
            .chain([&root])
            .flat_map(|command| command.get_arguments().map(|arg| arg.get_id().to_string()))
            .collect();
        RARE.iter().for_each(|rare| assert!(ids.iter().any(|id| id == rare), "{rare}"));
    }
}
