//! Reads a tag of HTML. It is stricter than a browser, which takes `<b und c>` for one.

use super::elements::{Element, element, is_switch};

/// A well-formed tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub element: Element,
    /// The offset after its `>`.
    pub end: usize,
    /// `</p>`.
    pub is_end: bool,
    /// `<p/>`.
    pub is_closed: bool,
    /// Without attributes and white space.
    pub is_bare: bool,
}

/// Reads bytes of UTF-8, of which it takes only ASCII for markup.
pub struct TagReader<'t> {
    bytes: &'t [u8],
    /// The next byte to read.
    pub at: usize,
}

impl<'t> TagReader<'t> {
    /// A reader for the tag whose `<` is at `at`.
    pub fn new(bytes: &'t [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The tag, or `None` where there is none.
    pub fn read(&mut self) -> Option<Tag> {
        self.skip(b"<").then_some(())?;
        let is_end = self.skip(b"/");
        let element = element(self.take(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-')))?;
        let mut is_bare = true;
        let mut has_value = false;
        loop {
            let has_space = !self.take(|byte| byte.is_ascii_whitespace()).is_empty();
            let is_closed = self.skip(b"/>");
            if is_closed || self.skip(b">") {
                return Some(Tag { element, end: self.at, is_end, is_closed, is_bare: is_bare && !has_space });
            }
            // An attribute may follow a quote directly.
            let follows_quote = matches!(self.bytes.get(self.at - 1), Some(b'"' | b'\''));
            if is_end || !(has_space || follows_quote) {
                return None;
            }
            is_bare = false;
            has_value |= self.attribute(has_value)?;
        }
    }

    /// Reads an attribute, and returns whether it has a value. After one with a value, any word may stand without one: what is
    /// read is a tag, whose author forgot the quotes (`alt=Angela Merkel`).
    fn attribute(&mut self, is_tag: bool) -> Option<bool> {
        let is_name = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'/' | b'=');
        let start = self.at;
        let name = self.take(|byte| is_name(byte) || (is_tag && !byte.is_ascii()));
        let after_name = self.at;
        self.take(|byte| byte.is_ascii_whitespace());
        if self.skip(b"=") {
            self.take(|byte| byte.is_ascii_whitespace());
            return if name.is_empty() { None } else { self.value().map(|()| true) };
        }
        // The white space before the next attribute.
        self.at = after_name;
        let has_name = self.at > start;
        (has_name && (is_tag || is_switch(name))).then_some(false)
    }

    fn value(&mut self) -> Option<()> {
        let quote = self.bytes.get(self.at).copied()?;
        if !matches!(quote, b'"' | b'\'') {
            let value = self.take(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'<' | b'>'));
            return (!value.is_empty()).then_some(());
        }
        self.at += 1;
        self.take(|byte| byte != quote);
        self.skip(&[quote]).then_some(())
    }

    fn skip(&mut self, expected: &[u8]) -> bool {
        let is_there = self.bytes[self.at..].starts_with(expected);
        self.at += if is_there { expected.len() } else { 0 };
        is_there
    }

    /// Bytes that `belong`, as a string; empty when they are not UTF-8.
    fn take(&mut self, belong: impl Fn(u8) -> bool) -> &'t str {
        let rest = &self.bytes[self.at..];
        let taken = &rest[..rest.iter().position(|byte| !belong(*byte)).unwrap_or(rest.len())];
        self.at += taken.len();
        str::from_utf8(taken).unwrap_or_default()
    }
}
