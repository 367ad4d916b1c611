//! Numbers of things in messages.

/// `1 row`, `2 rows`, `0 entities`: a number, and the English noun in its form for it.
pub fn counted(n: impl Into<Count>, noun: &str) -> String {
    let Count(n) = n.into();
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

/// A number of things.
#[derive(Debug, Clone, Copy)]
pub struct Count(u64);

impl From<u64> for Count {
    fn from(n: u64) -> Self {
        Self(n)
    }
}

impl From<usize> for Count {
    fn from(n: usize) -> Self {
        Self(n as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular_and_any_other_number_plural() {
        assert_eq!(counted(0_u64, "row"), "0 rows");
        assert_eq!(counted(1_u64, "row"), "1 row");
        assert_eq!(counted(2_usize, "row"), "2 rows");
        assert_eq!((counted(1_u64, "entity"), counted(2_u64, "entity")), ("1 entity".into(), "2 entities".into()));
    }
}
