//! The message of a run that Ctrl-C or SIGTERM stops: how many rows are saved, and the command that resumes.

use std::path::Path;

use ressort::score::n_saved_rows;
use ressort::system::counted::counted;

use super::ScoreArgs;

/// The command that the user typed, where a script starts this program; quoted for a shell.
const COMMAND_VARIABLE: &str = "RESSORT_COMMAND";

/// The message for the run of `args`, from what it has saved.
pub fn message(args: &ScoreArgs) -> String {
    let is_read_once = |input: &String| input == "-" || is_pipe(Path::new(input));
    let command = command();
    if args.dry_run {
        return "ressort: stopped; a dry run writes nothing".to_owned();
    }
    if args.output == "-" || args.inputs.iter().any(is_read_once) {
        let what = if args.output == "-" { "standard output" } else { "an input that can be read once" };
        return format!(
            "ressort: stopped; a run with {what} cannot be resumed. The same command starts again:\n  {command}"
        );
    }
    match n_saved_rows(Path::new(&args.output)) {
        0 => format!("ressort: stopped before the first rows were saved. The same command starts again:\n  {command}"),
        n => format!(
            "ressort: stopped; {} saved in {}.parts. To resume, run the same command again:\n  {command}",
            counted(n, "row"),
            args.output
        ),
    }
}

fn is_pipe(path: &Path) -> bool {
    path.exists() && !path.is_file() && !path.is_dir()
}

/// This process's command, to be pasted into a shell.
fn command() -> String {
    let typed = std::env::var(COMMAND_VARIABLE).ok().filter(|command| !command.is_empty());
    typed.unwrap_or_else(|| {
        let words = std::env::args_os().map(|word| quoted(&word.to_string_lossy()));
        words.collect::<Vec<_>>().join(" ")
    })
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "-_./=,:+@%".contains(char);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        for (word, expected) in [
            ("a.jsonl", "a.jsonl"),
            ("topics=0.4", "topics=0.4"),
            (";", "';'"),
            ("it's", r"'it'\''s'"),
            ("*.csv", "'*.csv'"),
            ("", "''"),
            ("über/a b", "'über/a b'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
