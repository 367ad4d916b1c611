//! Spans of a text: half-open byte ranges inside the library, and the units that callers may choose.

use crate::system::choice::UnknownWord;

/// A half-open range of bytes of one text; both ends lie on character boundaries of that text.
///
/// Which text (as received, or as normalized) is said by whoever hands the span over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSpan {
    pub start: usize,
    pub end: usize,
}

impl ByteSpan {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The slice of `text` at this span, or `None` when the span does not lie on character boundaries of `text`.
    pub fn slice(self, text: &str) -> Option<&str> {
        text.get(self.start..self.end)
    }

    /// The span without the white space at either end; empty (at its old end) when there is nothing else in it.
    pub fn trim(self, text: &str) -> Self {
        let Some(slice) = self.slice(text) else {
            return self;
        };
        let start = self.end - slice.trim_start().len();
        let end = start + slice.trim().len();
        Self { start, end }
    }
}

/// What an offset counts. The default is what Python strings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<OffsetUnit>)]
pub enum OffsetUnit {
    /// Unicode code points (Python, the default).
    #[default]
    Codepoint,
    /// UTF-16 code units (JavaScript, Java, C#).
    Utf16,
    /// Bytes of UTF-8 (Rust, Go).
    Byte,
}

impl OffsetUnit {
    /// The length of `text` in this unit.
    pub fn count(self, text: &str) -> usize {
        match self {
            Self::Codepoint => text.chars().count(),
            Self::Utf16 => text.encode_utf16().count(),
            Self::Byte => text.len(),
        }
    }
}

/// Turns byte offsets of `text` into another unit in one pass, as long as the offsets rise from call to call.
///
/// Asking for an earlier offset again is correct but starts the count over.
pub struct OffsetConverter<'t> {
    text: &'t str,
    unit: OffsetUnit,
    byte: usize,
    count: usize,
}

impl<'t> OffsetConverter<'t> {
    pub fn new(text: &'t str, unit: OffsetUnit) -> Self {
        Self { text, unit, byte: 0, count: 0 }
    }

    /// The offset in the converter's unit of the character boundary `byte`.
    pub fn convert(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            (self.byte, self.count) = (0, 0);
        }
        let passed = self.text.get(self.byte..byte).unwrap_or_default();
        self.count += self.unit.count(passed);
        self.byte += passed.len();
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_counts_what_its_language_counts() {
        let text = "Zoë 😀 aß";
        let at = text.find('a').unwrap();
        for (unit, offset) in [(OffsetUnit::Codepoint, 6), (OffsetUnit::Utf16, 7), (OffsetUnit::Byte, 10)] {
            assert_eq!(OffsetConverter::new(text, unit).convert(at), offset, "{unit:?}");
        }
    }

    #[test]
    fn an_earlier_offset_is_still_right() {
        let text = "äöü";
        let mut converter = OffsetConverter::new(text, OffsetUnit::Codepoint);
        assert_eq!([4, 2, 6, 0].map(|byte| converter.convert(byte)), [2, 1, 3, 0]);
    }

    #[test]
    fn trim_takes_white_space_of_any_kind_off_both_ends() {
        let text = "x\u{a0} Köln\r\n";
        assert_eq!(ByteSpan::new(1, text.len()).trim(text).slice(text), Some("Köln"));
        assert!(ByteSpan::new(1, 4).trim(text).is_empty());
    }
}
