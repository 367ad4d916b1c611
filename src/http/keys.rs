//! The keys of clients: who holds which, what it opens, and how much it may be used. Only hashes of keys are kept.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::quota::{KeyLimits, Quota};

/// SHA-256 of a key.
///
/// Keys are random and have 256 bits, so that nobody finds one by trying. A slow hash guards passwords, which people choose; here it
/// would only cost time on every request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Scope {
    /// The routes that read texts and list models.
    Read,
    /// Changes of models too, and all that `Read` opens.
    Admin,
}

/// A key as the configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    pub name: String,
    pub hash: KeyHash,
    pub scopes: Vec<Scope>,
    pub limits: KeyLimits,
}

/// A key in use, and what is left of its limits.
#[derive(Debug)]
pub struct Key {
    pub spec: KeySpec,
    /// That of the same key before the keys were reloaded, since requests under way still count there.
    pub quota: Arc<Quota>,
}

/// The keys of a server. By default there are none, and nobody needs one to read.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Arc<Key>>,
    /// Whether requests without a key may read.
    pub anyone_reads: bool,
}

/// Who may change models where no key has the scope `admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAccess {
    /// Every client of this machine: for a server that listens on the loopback only and has no keys.
    Anyone,
    /// Nobody.
    Nobody,
}

impl KeyHash {
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl KeyRing {
    /// Keys of which each request must have one.
    pub fn new(specs: Vec<KeySpec>) -> Self {
        Self::default().with(specs)
    }

    /// The same for another set of keys. A key that stays keeps what it has used of its limits.
    pub fn with(&self, specs: Vec<KeySpec>) -> Self {
        let key = |spec: KeySpec| {
            let known = self.keys.iter().find(|key| key.spec.hash == spec.hash);
            let quota = known.map_or_else(|| Arc::new(Quota::new(spec.limits)), |key| Arc::clone(&key.quota));
            quota.set_limits(spec.limits);
            Arc::new(Key { spec, quota })
        };
        Self { keys: specs.into_iter().map(key).collect(), anyone_reads: false }
    }

    /// The key that a client gave. All hashes are compared, in constant time.
    pub fn find(&self, given: &str) -> Option<&Arc<Key>> {
        let hash = KeyHash::of(given);
        let is_given = |key: &Arc<Key>| bool::from(key.spec.hash.0.ct_eq(&hash.0));
        self.keys.iter().fold(None, |found, key| if is_given(key) { Some(key) } else { found })
    }

    /// The same keys, of which none is needed to read.
    pub fn open_to_readers(self) -> Self {
        Self { anyone_reads: true, ..self }
    }

    /// The keys, as the configuration describes them.
    pub fn specs(&self) -> impl Iterator<Item = &KeySpec> {
        self.keys.iter().map(|key| &key.spec)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn has_admin(&self) -> bool {
        self.keys.iter().any(|key| key.spec.opens(Scope::Admin))
    }
}

impl Default for KeyRing {
    fn default() -> Self {
        Self { keys: Vec::new(), anyone_reads: true }
    }
}

impl KeySpec {
    /// A key without limits, of which the server was given the text.
    pub fn of_text(name: &str, key: &str, scope: Scope) -> Self {
        Self { name: name.to_owned(), hash: KeyHash::of(key), scopes: vec![scope], limits: KeyLimits::default() }
    }

    /// The right to change models includes the right to use them.
    pub fn opens(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| *held == scope || *held == Scope::Admin)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Without the hash: logs need none.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl FromStr for KeyHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected `sha256:` and 64 hexadecimal digits, as `ressort key new` prints them";
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii());
        let digits = digits.ok_or(EXPECTED)?;
        let mut hash = [0; 32];
        for (n, byte) in hash.iter_mut().enumerate() {
            let pair = &digits[2 * n..2 * n + 2];
            // `from_str_radix` takes a sign too.
            let is_hex = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| is_hex).ok_or(EXPECTED)?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = KeyHash::of("abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert!(text.parse() == Ok(hash) && text.to_uppercase().replace("SHA", "sha").parse() == Ok(hash));
        let plus = text.replace("ba78", "+a78");
        let umlaut = text.replace("ba78", "ä78");
        for wrong in ["", "abc", "sha256:", &text[7..], &text[..70], &format!("{text}0"), &plus, &umlaut] {
            assert!(wrong.parse::<KeyHash>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_text_alone() {
        let spec = |name: &str| KeySpec::of_text(name, name, Scope::Read);
        let ring = KeyRing::new(vec![spec("eins"), spec("zwei"), spec("drei")]);
        for name in ["eins", "zwei", "drei"] {
            assert_eq!(ring.find(name).map(|key| key.spec.name.as_str()), Some(name));
        }
        for other in ["", "ein", "eins ", "Eins", &KeyHash::of("eins").to_string()] {
            assert!(ring.find(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_key_that_stays_keeps_what_it_used() {
        let limits = |n| KeyLimits { requests_per_minute: Some(n), ..KeyLimits::default() };
        let spec = |name: &str, n| KeySpec { limits: limits(n), ..KeySpec::of_text(name, name, Scope::Read) };
        let ring = KeyRing::new(vec![spec("bleibt", 2), spec("geht", 2)]);
        let use_once = |ring: &KeyRing, name: &str| ring.find(name).unwrap().quota.take_request();
        assert!(use_once(&ring, "bleibt").is_ok() && use_once(&ring, "geht").is_ok());
        let ring = ring.with(vec![spec("neu", 1), spec("bleibt", 2)]);
        assert!(ring.find("geht").is_none());
        assert!(use_once(&ring, "bleibt").is_ok() && use_once(&ring, "bleibt").is_err());
        let ring = ring.with(vec![spec("bleibt", 3)]);
        assert!(use_once(&ring, "bleibt").is_ok() && use_once(&ring, "bleibt").is_err());
    }
}
