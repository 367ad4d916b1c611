//! What a reload changes of the keys, for the log: names, scopes and limits, never a key or its hash.

use ressort::http::{KeyRing, KeySpec};

/// Each key that is added, revoked, renamed or changed, in words.
pub fn key_changes(old: &KeyRing, new: &KeyRing) -> Vec<String> {
    let by_name = |ring: &KeyRing, name: &str| ring.specs().find(|spec| spec.name == name).cloned();
    let by_hash = |ring: &KeyRing, spec: &KeySpec| ring.specs().find(|other| other.hash == spec.hash).cloned();
    let counterpart = |ring: &KeyRing, spec: &KeySpec| by_hash(ring, spec).or_else(|| by_name(ring, &spec.name));
    let mut changes = Vec::new();
    for spec in new.specs() {
        match counterpart(old, spec) {
            None => changes.push(format!("added `{}` ({})", spec.name, description(spec))),
            Some(before) => changes.extend(change(&before, spec)),
        }
    }
    let revoked = old.specs().filter(|spec| counterpart(new, spec).is_none());
    changes.extend(revoked.map(|spec| format!("revoked `{}`", spec.name)));
    match (old.anyone_reads, new.anyone_reads) {
        (true, false) => changes.push("requests need a key now".to_owned()),
        (false, true) => changes.push("no key is needed to read texts now".to_owned()),
        _ => {}
    }
    changes
}

/// What is different of a key, if anything is.
fn change(old: &KeySpec, new: &KeySpec) -> Option<String> {
    let mut changes = Vec::new();
    if old.name != new.name {
        changes.push(format!("renamed from `{}`", old.name));
    }
    if old.hash != new.hash {
        changes.push("another key".to_owned());
    }
    let before = parts(old).into_iter();
    let parts = before.zip(parts(new)).filter(|((_, old), (_, new))| old != new);
    changes.extend(parts.map(|((what, old), (_, new))| format!("{what} {old} -> {new}")));
    (!changes.is_empty()).then(|| format!("changed `{}` ({})", new.name, changes.join(", ")))
}

fn description(spec: &KeySpec) -> String {
    let set = parts(spec).into_iter().filter(|(_, value)| value != UNLIMITED);
    set.map(|(what, value)| format!("{what} {value}")).collect::<Vec<_>>().join(", ")
}

const UNLIMITED: &str = "unlimited";

/// What a key opens and how much it may be used, with the names of the configuration file.
fn parts(spec: &KeySpec) -> [(&'static str, String); 4] {
    let limit = |limit: Option<u64>| limit.map_or(UNLIMITED.to_owned(), |limit| limit.to_string());
    let scopes: Vec<String> = spec.scopes.iter().map(ToString::to_string).collect();
    [
        ("scopes", scopes.join("+")),
        ("requests_per_minute", limit(spec.limits.requests_per_minute)),
        ("requests_per_day", limit(spec.limits.requests_per_day)),
        ("documents_per_day", limit(spec.limits.documents_per_day)),
    ]
}

#[cfg(test)]
mod tests {
    use ressort::http::{KeyLimits, Scope};

    use super::*;

    fn spec(name: &str, key: &str, requests_per_minute: Option<u64>) -> KeySpec {
        let limits = KeyLimits { requests_per_minute, ..KeyLimits::default() };
        KeySpec { limits, ..KeySpec::of_text(name, key, Scope::Read) }
    }

    #[test]
    fn each_change_of_a_key_is_said_by_its_name_and_never_by_its_value() {
        let admin = KeySpec { scopes: vec![Scope::Read, Scope::Admin], ..spec("a", "geheim-1", Some(60)) };
        for (old, new, expected) in [
            (vec![spec("a", "geheim-1", None)], vec![spec("a", "geheim-1", None)], ""),
            (vec![], vec![spec("a", "geheim-1", Some(5))], "added `a` (scopes read, requests_per_minute 5)"),
            (vec![spec("a", "geheim-1", None)], vec![], "revoked `a`"),
            (
                vec![spec("a", "geheim-1", None)],
                vec![admin],
                "changed `a` (scopes read -> read+admin, requests_per_minute unlimited -> 60)",
            ),
            (vec![spec("a", "geheim-1", None)], vec![spec("a", "geheim-2", None)], "changed `a` (another key)"),
            (
                vec![spec("a", "geheim-1", Some(1))],
                vec![spec("b", "geheim-1", None)],
                "changed `b` (renamed from `a`, requests_per_minute 1 -> unlimited)",
            ),
            (
                vec![spec("a", "geheim-1", None), spec("b", "geheim-2", None)],
                vec![spec("b", "geheim-2", None), spec("c", "geheim-3", None)],
                "added `c` (scopes read); revoked `a`",
            ),
        ] {
            let changes = key_changes(&KeyRing::new(old), &KeyRing::new(new)).join("; ");
            assert_eq!(changes, expected);
            assert!(!changes.contains("geheim"), "{changes}");
        }
        let open = KeyRing::default();
        let closed = KeyRing::new(vec![spec("a", "geheim-1", None)]);
        assert!(key_changes(&open, &closed).contains(&"requests need a key now".to_owned()));
        assert!(key_changes(&closed, &open).contains(&"no key is needed to read texts now".to_owned()));
    }
}
