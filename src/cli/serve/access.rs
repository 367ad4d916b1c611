//! Who may use the server: the keys of flags, variables and file, and where it listens without any.

use anyhow::Context;
use ressort::http::{AdminAccess, KeyRing, KeySpec, Scope};

use super::args::ServeArgs;
use crate::cli::config::ConfigError;
use crate::cli::key;

/// The keys of a server. A key that `old` has too keeps its counts.
///
/// # Errors
/// Where other machines could use the server without a key, and the operator did not say so.
pub fn key_ring(args: &ServeArgs, old: &KeyRing) -> anyhow::Result<KeyRing> {
    let mut specs = args.settings.keys.clone();
    // The admin key alone changes models, and says nothing about who may read.
    let anyone_reads = specs.is_empty() && args.api_key.is_none();
    specs.extend(args.api_key.as_deref().map(|key| KeySpec::of_text("--api-key", key, Scope::Read)));
    // Last, so that it wins over an API key of the same text.
    specs.extend(admin_key(args)?.map(|key| KeySpec::of_text("--admin-key", &key, Scope::Admin)));
    let keys = old.with(specs);
    if !anyone_reads {
        return Ok(keys);
    }
    check_exposure(args)?;
    Ok(keys.open_to_readers())
}

/// Who may change models where no key may.
pub fn admin_access(args: &ServeArgs) -> AdminAccess {
    if args.host.is_loopback() { AdminAccess::Anyone } else { AdminAccess::Nobody }
}

/// Without a key, other machines may use the service only if the operator says so.
fn check_exposure(args: &ServeArgs) -> Result<(), ConfigError> {
    if args.host.is_loopback() || args.allow_anonymous {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "refusing to listen on {} without keys: every machine that reaches it could use the service; add a key (`ressort key new`) or set RESSORT_API_KEY, listen on 127.0.0.1, or allow it with --allow-anonymous",
        args.host
    )))
}

fn admin_key(args: &ServeArgs) -> anyhow::Result<Option<String>> {
    let Some(file) = &args.admin_key_file else { return Ok(args.admin_key.clone()) };
    let text = std::fs::read_to_string(file).with_context(|| {
        format!(
            "{}: the admin key cannot be read; name a file that the service may read with --admin-key-file",
            file.display()
        )
    })?;
    // The line ends with a line end.
    let key = key::text(text.trim()).map_err(|reason| anyhow::anyhow!("{}: {reason}", file.display()))?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn serve(args: &[&str]) -> ServeArgs {
        Serve::parse_from(["serve"].iter().chain(args)).args
    }

    #[test]
    fn beyond_the_loopback_models_are_changed_with_a_key_only() {
        for (args, access) in [
            (&[][..], AdminAccess::Anyone),
            (&["--host", "::1"], AdminAccess::Anyone),
            (&["--host", "0.0.0.0"], AdminAccess::Nobody),
        ] {
            assert_eq!(admin_access(&serve(args)), access, "{args:?}");
        }
    }

    #[test]
    fn readers_need_a_key_as_soon_as_one_for_them_is_set() {
        let ring = |args: &[&str], keys: &[&str]| {
            let mut args = serve(args);
            args.settings.keys = keys.iter().map(|key| KeySpec::of_text(key, key, Scope::Read)).collect();
            key_ring(&args, &KeyRing::default())
        };
        for (args, keys, anyone_reads, has_admin) in [
            (&[][..], &[][..], true, false),
            (&["--admin-key", "k"], &[], true, true),
            (&["--api-key", "k"], &[], false, false),
            (&["--host", "0.0.0.0", "--api-key", "k"], &[], false, false),
            (&["--host", "0.0.0.0"], &["k"], false, false),
            (&["--host", "0.0.0.0", "--allow-anonymous"], &[], true, false),
            (&["--api-key", "k", "--admin-key", "k"], &[], false, true),
        ] {
            let ring = ring(args, keys).unwrap();
            assert_eq!((ring.anyone_reads, ring.has_admin()), (anyone_reads, has_admin), "{args:?} {keys:?}");
        }
        let same = ring(&["--api-key", "k", "--admin-key", "k"], &[]).unwrap();
        assert!(same.find("k").unwrap().spec.opens(Scope::Admin));
        for args in [&["--host", "0.0.0.0"][..], &["--host", "0.0.0.0", "--admin-key", "k"]] {
            let error = ring(args, &[]).unwrap_err();
            assert!(error.is::<ConfigError>() && error.to_string().contains("--allow-anonymous"), "{error}");
        }
    }
}
