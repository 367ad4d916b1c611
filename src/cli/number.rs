//! Numbers as values of options, with one form of message: what to give instead.

use std::ops::RangeInclusive;

/// Reads whole numbers in a range.
pub fn whole<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.and_then(|number: u64| T::try_from(number).ok()).ok_or_else(|| match (range.start(), *range.end()) {
            (0, u64::MAX) => "give a whole number that is not negative".to_owned(),
            (min, u64::MAX) => format!("give a whole number of at least {min}"),
            (min, max) => format!("give a whole number from {min} to {max}"),
        })
    }
}

/// Reads a whole number of at least 1.
pub fn positive(text: &str) -> Result<usize, String> {
    whole(1..=u64::MAX)(text)
}

/// Reads seconds up to a day.
pub fn seconds(min: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    whole(min..=86_400)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;
    use crate::cli::config::{Kind, check};

    #[test]
    fn a_number_in_its_range_is_read_and_any_other_is_told_the_range() {
        let read = |text: &str| whole::<u16>(1..=65_535)(text);
        assert_eq!((read("1"), read("65535")), (Ok(1), Ok(65_535)));
        for text in ["0", "65536", "-1", "1.5", "x", "", "1_000", "99999999999999999999"] {
            assert_eq!(read(text).unwrap_err(), "give a whole number from 1 to 65535", "{text}");
        }
        assert_eq!(positive("0").unwrap_err(), "give a whole number of at least 1");
        assert_eq!(whole::<u64>(0..=u64::MAX)("-1").unwrap_err(), "give a whole number that is not negative");
    }

    #[test]
    fn every_option_that_takes_a_number_says_which_numbers_it_takes() {
        let root = Cli::command();
        let mut n_numbers = 0;
        for command in root.get_subcommands().flat_map(|command| command.get_subcommands().chain([command])) {
            for arg in command.get_arguments().filter(|arg| matches!(Kind::of(arg), Kind::Integer | Kind::Number)) {
                for text in ["-1", "x", "", "99999999999999999999999999"] {
                    let reason = check(arg, text).expect_err(text);
                    assert!(reason.starts_with("give a "), "{} {arg} {text:?}: {reason}", command.get_name());
                }
                assert!(arg.is_allow_negative_numbers_set(), "{} {arg}: -1 would count as a flag", command.get_name());
                n_numbers += 1;
            }
        }
        assert!(n_numbers > 20, "{n_numbers}");
    }
}
