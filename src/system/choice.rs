//! Options that are given as words: parsed and printed from one table each.

/// A word that is not one of those expected; its message lists them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not one of {expected}")]
pub struct UnknownWord {
    pub found: String,
    pub expected: String,
}

/// Spells an enum as words, both ways, from one table.
macro_rules! words {
    ($kind:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $kind {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $kind {
            type Err = $crate::system::choice::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::system::choice::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::system::choice::UnknownWord { found: word.to_owned(), expected: [$(concat!("`", $word, "`")),+].join(", ") }),
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;
