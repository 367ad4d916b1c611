//! `ressort key`: makes keys for clients.

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use ressort::http::{KeyHash, Scope};

use super::print;

#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print a new key once (on standard error), and its entry for the configuration file, which contains only the hash
    New {
        /// Name of the key, for logs and messages
        #[arg(long, default_value = "client", value_parser = name)]
        name: String,
        /// What the key opens, repeatable: `read` texts and lists of models, or `admin` for changes of models too
        #[arg(long = "scope", value_enum, default_value = "read", value_delimiter = ',')]
        scopes: Vec<ScopeArg>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeArg {
    Read,
    Admin,
}

pub fn run_key(args: &KeyArgs) -> anyhow::Result<()> {
    let KeyCommand::New { name, scopes } = &args.command;
    let key = new_key()?;
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("\"{}\"", Scope::from(*scope))).collect();
    // Not on standard output, which goes to the configuration file: that holds hashes only.
    print::secret(&format!("The key, for the client. It is not shown again:\n{key}"))?;
    print::result(&format!(
        "# Entry for the configuration file of `ressort serve`.\n[[keys]]\nname = {}\nhash = \"{}\"\nscopes = [{}]",
        toml::Value::String(name.clone()),
        KeyHash::of(&key),
        scopes.join(", ")
    ))
}

/// 256 random bits of the system.
fn new_key() -> anyhow::Result<String> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).context("the system gives no random numbers")?;
    Ok(bits.iter().fold("ressort_".to_owned(), |key, byte| key + &format!("{byte:02x}")))
}

/// A key in plain text, as an operator gives it. One that no client can send would keep everybody out, and a blank one is
/// probably a variable or a file that was not filled.
pub fn text(text: &str) -> Result<String, &'static str> {
    match text {
        _ if text.trim().is_empty() => Err(
            "the key is blank; set one (`ressort key new` makes one), or remove the setting or variable to have none",
        ),
        _ if text.trim() != text => Err("the key begins or ends with white space, which no client can send; remove it"),
        _ if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => Err(
            "the key has characters other than visible ASCII, which no client can send; `ressort key new` makes one without",
        ),
        _ => Ok(text.to_owned()),
    }
}

/// Whether a hash is of a text that is no key, such as the output of `printf "$KEY" | sha256sum` where the variable is not set.
pub fn is_of_blank(hash: KeyHash) -> bool {
    ["", " ", "\n", "\r\n"].into_iter().any(|blank| KeyHash::of(blank) == hash)
}

/// The name of a key, which stands in logs.
pub fn name(text: &str) -> Result<String, String> {
    const MAX_CHARACTERS: usize = 64;
    match text {
        _ if text.trim().is_empty() => Err("it is blank; name the client".to_owned()),
        _ if text.chars().any(char::is_control) => Err("it has control characters".to_owned()),
        _ if text.chars().count() > MAX_CHARACTERS => Err(format!("it has more than {MAX_CHARACTERS} characters")),
        _ => Ok(text.to_owned()),
    }
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Read => Self::Read,
            ScopeArg::Admin => Self::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_a_client_can_send_and_never_blank() {
        for key in ["k", "ressort_0123", "two words", "a+/=~"] {
            assert_eq!(text(key).as_deref(), Ok(key));
        }
        for (key, part) in [
            ("", "blank"),
            (" ", "blank"),
            ("\t\n", "blank"),
            ("\u{a0}", "blank"),
            ("k\n", "white space"),
            (" k", "white space"),
            ("a\nb", "visible ASCII"),
            ("schl\u{fc}ssel", "visible ASCII"),
        ] {
            assert!(text(key).unwrap_err().contains(part), "{key:?}");
        }
        let (of_unset, of_key) = (KeyHash::of(""), KeyHash::of("k"));
        assert!(is_of_blank(of_unset) && is_of_blank(KeyHash::of("\n")) && !is_of_blank(of_key));
    }
}
