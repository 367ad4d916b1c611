//! `ressort key`: makes keys for clients.

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use ressort::http::{KeyHash, Scope};

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
    eprintln!("The key, for the client. It is not shown again:\n{key}");
    println!("# Entry for the configuration file of `ressort serve`.");
    println!("[[keys]]");
    println!("name = {}", toml::Value::String(name.clone()));
    println!("hash = \"{}\"", KeyHash::of(&key));
    println!("scopes = [{}]", scopes.join(", "));
    Ok(())
}

/// 256 random bits of the system.
fn new_key() -> anyhow::Result<String> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).context("the system gives no random numbers")?;
    Ok(bits.iter().fold("ressort_".to_owned(), |key, byte| key + &format!("{byte:02x}")))
}

/// The name of a key, which stands in logs.
pub fn name(text: &str) -> Result<String, String> {
    const MAX_CHARACTERS: usize = 64;
    match text {
        "" => Err("it is empty; name the client".to_owned()),
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
