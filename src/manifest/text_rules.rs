//! The rules for texts as they arrive, and the switches by which a request or a model folder turns them off.

use std::fmt;
use std::str::FromStr;

use crate::system::choice::UnknownWord;

/// A rule for texts as they arrive. It is on, unless the request or else the model folder switches it off.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
)]
#[strum(serialize_all = "snake_case", const_into_str, parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<TextRule>)]
pub enum TextRule {
    /// HTML is read as a browser shows it.
    Html,
    /// Words hyphenated at line ends are read whole.
    Hyphens,
    /// Addresses, paths, telephone and account numbers are no names.
    Addresses,
    /// A name ends at table bars and row ends, list items, bylines, lines of a signature, empty lines, and at a slash before another name.
    Boundaries,
    /// A slug as the last line is no name, nor is the shorthand of an author.
    Slugs,
    /// Windows of long texts end between sentences.
    Sentences,
}

/// Every rule.
pub const ALL_RULES: &[TextRule] = <TextRule as strum::VariantArray>::VARIANTS;

/// The names of [`ALL_RULES`].
pub const RULE_NAMES: &[&str] = <TextRule as strum::VariantNames>::VARIANTS;

/// A rule that is switched on or off: `hyphens=off` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSwitch {
    pub rule: TextRule,
    pub is_on: bool,
}

/// Switches of rules. A rule without a switch is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TextRules {
    /// By rule, in the order of [`ALL_RULES`].
    switches: [Option<bool>; ALL_RULES.len()],
}

impl TextRules {
    pub fn is_on(self, rule: TextRule) -> bool {
        self.switches[rule as usize].unwrap_or(true)
    }

    /// These switches, and those of `defaults` for rules without one.
    pub fn or(self, defaults: Self) -> Self {
        let mut switches = self.switches;
        switches.iter_mut().zip(defaults.switches).for_each(|(own, default)| *own = own.or(default));
        Self { switches }
    }

    /// The switches, in the order of the rules.
    pub fn switches(self) -> impl Iterator<Item = TextSwitch> {
        let switch = move |rule: &TextRule| Some(TextSwitch { rule: *rule, is_on: self.switches[*rule as usize]? });
        ALL_RULES.iter().filter_map(switch)
    }
}

impl FromIterator<TextSwitch> for TextRules {
    /// Of two switches of one rule the last one holds.
    fn from_iter<I: IntoIterator<Item = TextSwitch>>(switches: I) -> Self {
        let mut rules = Self::default();
        switches.into_iter().for_each(|switch| rules.switches[switch.rule as usize] = Some(switch.is_on));
        rules
    }
}

/// As on the command line; empty without switches.
impl fmt::Display for TextRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switches: Vec<String> = self.switches().map(|switch| switch.to_string()).collect();
        f.write_str(&switches.join(","))
    }
}

impl fmt::Display for TextSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.rule, if self.is_on { "on" } else { "off" })
    }
}

impl FromStr for TextSwitch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rule, state) = text.split_once('=').unwrap_or((text, ""));
        let rule = rule.parse().map_err(|error: UnknownWord| error.to_string())?;
        match state {
            "on" => Ok(Self { rule, is_on: true }),
            "off" => Ok(Self { rule, is_on: false }),
            _ => Err(format!("`{text}` switches nothing; give {rule}=on or {rule}=off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(switches: &[&str]) -> TextRules {
        switches.iter().map(|switch| switch.parse::<TextSwitch>().unwrap()).collect()
    }

    #[test]
    fn a_rule_is_on_unless_the_request_or_else_the_folder_switches_it_off() {
        let (none, on, off) = (rules(&[]), rules(&["hyphens=on"]), rules(&["hyphens=on", "hyphens=off"]));
        for (request, folder, is_on) in
            [(none, none, true), (none, off, false), (off, none, false), (off, on, false), (on, off, true)]
        {
            assert_eq!(request.or(folder).is_on(TextRule::Hyphens), is_on, "{request:?} {folder:?}");
        }
    }

    #[test]
    fn a_switch_is_written_as_it_is_read_and_a_bad_one_is_refused() {
        assert_eq!(
            (rules(&["hyphens=off"]).to_string().as_str(), rules(&[]).to_string().as_str()),
            ("hyphens=off", "")
        );
        for (text, part) in
            [("hyphen=off", "did you mean `hyphens`?"), ("hyphens", "hyphens=off"), ("hyphens=no", "hyphens=on")]
        {
            let error = text.parse::<TextSwitch>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
