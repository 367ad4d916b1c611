//! HTML in a text: what a browser would show of it.
//!
//! Only what is well-formed and has a known element name counts as a tag, so that `a < b`, `<3` and `<max@zeitung.de>` stay.
//! - Tags, comments, doctypes and processing instructions vanish. `<br>` becomes a line break. A tag that ends a block for a
//!   reader (`<p>`, `<li>`, `<td>`) becomes an empty line, which no name crosses (`text::gaps`). `Ham<b>burg</b>` is one word.
//! - Elements that are not shown (`<script>`, `<style>`, `<head>`) vanish with their content, if they are closed. So do menus
//!   (`<nav>`): the names of a site's sections say nothing about the article.
//! - The content of CDATA sections is text.
//! - Character references (`&amp;`, `&bdquo;`, `&#228;`) become their characters.
//!
//! The time is linear in the length of the text, and what is shown is at most a fifth longer than the text.

mod elements;
mod references;
mod tag;

use crate::text::alignment::{Changed, Rewriter};
use crate::text::span::ByteSpan;
use elements::{Element, Shown};
use references::Reference;
use tag::{Tag, TagReader};

const COMMENT: &str = "<!--";

/// Removes the markup of `text` and resolves its character references; `None` when it has neither.
pub fn remove_markup(text: &str) -> Option<Changed> {
    let mut scanner = Scanner::new(text);
    let mut at = 0;
    while let Some(found) = text.as_bytes()[at..].iter().position(|byte| matches!(byte, b'<' | b'&' | b']')) {
        at += found;
        // Where nothing starts, the character is text.
        at = scanner.read(at).unwrap_or(at + 1);
    }
    scanner.rewriter.finish()
}

struct Scanner<'t> {
    text: &'t str,
    rewriter: Rewriter<'t>,
    in_cdata: bool,
    /// Terminators that do not occur at or after an offset.
    missing: Vec<(&'static str, usize)>,
    /// The next end tag of an element at or after the offset of the last query; `None` where there is none.
    end_tags: Vec<(Element, Option<ByteSpan>)>,
    /// Bytes that tags may still be searched in. Then only short tags are known, so that open quotes cost no square time.
    budget: usize,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        const READS_OF_A_BYTE: usize = 8;
        let (rewriter, missing, end_tags) = (Rewriter::new(text), Vec::new(), Vec::new());
        Self { text, rewriter, in_cdata: false, missing, end_tags, budget: READS_OF_A_BYTE * text.len() }
    }

    /// Replaces what starts at `at`, and returns where it ends.
    fn read(&mut self, at: usize) -> Option<usize> {
        const CDATA: &str = "<![CDATA[";
        const CDATA_END: &str = "]]>";
        let rest = &self.text[at..];
        let is_letter = |at: usize| rest.as_bytes().get(at).is_some_and(u8::is_ascii_alphabetic);
        match rest.as_bytes() {
            [b'&', ..] => {
                let Reference { n_bytes, characters } = references::read(rest)?;
                self.rewriter.replace(ByteSpan::new(at, at + n_bytes), &characters);
                Some(at + n_bytes)
            }
            [b']', ..] => {
                let is_end = std::mem::take(&mut self.in_cdata) && rest.starts_with(CDATA_END);
                self.in_cdata &= !is_end;
                is_end.then(|| self.remove(at, at + CDATA_END.len(), Shown::Joined))
            }
            _ if rest.starts_with(COMMENT) => {
                let end = self.comment_end(at)?;
                Some(self.remove(at, end, Shown::Joined))
            }
            [b'<', b'!', b'[', ..] if rest.starts_with(CDATA) => {
                self.in_cdata = true;
                Some(self.remove(at, at + CDATA.len(), Shown::Joined))
            }
            // Conditional sections of word processors.
            [b'<', b'!', b'[', ..] if is_letter(3) => self.remove_until(at, at + 3, "]>"),
            [b'<', b'!', ..] if starts_with_word(&rest[2..], "doctype") => self.remove_until(at, at + 2, ">"),
            [b'<', b'?', ..] if is_letter(2) => self.remove_until(at, at + 2, "?>"),
            _ => self.read_tag(at),
        }
    }

    fn read_tag(&mut self, at: usize) -> Option<usize> {
        const SHORT: usize = 256;
        let end = if self.budget > 0 { self.text.len() } else { self.text.len().min(at + SHORT) };
        let mut reader = TagReader::new(&self.text.as_bytes()[..end], at);
        let tag = reader.read();
        self.budget = self.budget.saturating_sub(reader.at - at);
        let tag = tag?;
        if self.is_comparison(at, &tag) {
            return None;
        }
        let is_opened = !tag.is_end && !tag.is_closed;
        let is_left_out = matches!(tag.element.shown, Shown::Hidden | Shown::Menu);
        let hidden = (is_opened && is_left_out).then(|| self.end_tag(tag.element, tag.end));
        let end = hidden.flatten().map_or(tag.end, |end_tag| end_tag.end);
        Some(self.remove(at, end, tag.element.shown))
    }

    /// Whether the tag is more likely two signs between the letters of a formula: `a<b>c` without a `</b>`.
    fn is_comparison(&mut self, at: usize, tag: &Tag) -> bool {
        let is_sign = tag.is_bare && !tag.is_end && tag.element.name.len() == 1 && tag.element.shown == Shown::Joined;
        let is_between = |before: Option<char>, after: Option<char>| {
            before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)
        };
        is_sign
            && is_between(self.text[..at].chars().next_back(), self.text[tag.end..].chars().next())
            && self.end_tag(tag.element, tag.end).is_none()
    }

    /// The first end tag of `element` that starts at or after `from`, which never falls.
    fn end_tag(&mut self, element: Element, from: usize) -> Option<ByteSpan> {
        let known = self.end_tags.iter().position(|(known, _)| *known == element);
        if let Some(index) = known {
            match self.end_tags[index].1 {
                Some(span) if span.start < from => {}
                found => return found,
            }
        }
        let found = self.start_of_end_tag(element, from).and_then(|start| {
            let end = self.text[start..].find('>')?;
            Some(ByteSpan::new(start, start + end + 1))
        });
        match known {
            Some(index) => self.end_tags[index].1 = found,
            None => self.end_tags.push((element, found)),
        }
        found
    }

    /// An end tag in a comment ends nothing, but in elements whose content is no markup.
    fn start_of_end_tag(&mut self, element: Element, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at += self.text[at..].find('<')?;
            let rest = &self.text[at..];
            if rest.strip_prefix("</").is_some_and(|name| starts_with_word(name, element.name)) {
                return Some(at);
            }
            let is_comment = rest.starts_with(COMMENT) && !element.is_raw();
            at = is_comment.then(|| self.comment_end(at)).flatten().unwrap_or(at + 1);
        }
    }

    /// Where the comment that starts at `at` ends, if it does. `<!-->` is one.
    fn comment_end(&mut self, at: usize) -> Option<usize> {
        self.end_of(at + "<!".len(), "-->")
    }

    /// Removes from `at` to the first `terminator` at or after `from`.
    fn remove_until(&mut self, at: usize, from: usize, terminator: &'static str) -> Option<usize> {
        let end = self.end_of(from, terminator)?;
        Some(self.remove(at, end, Shown::Joined))
    }

    /// Where the first `terminator` at or after `from` ends.
    fn end_of(&mut self, from: usize, terminator: &'static str) -> Option<usize> {
        if self.missing.iter().any(|(missing, after)| *missing == terminator && *after <= from) {
            return None;
        }
        let found = self.text[from..].find(terminator);
        if found.is_none() {
            self.missing.push((terminator, from));
        }
        found.map(|found| from + found + terminator.len())
    }

    /// Whether a word may go on at `at`, perhaps in markup.
    fn continues_at(&self, at: usize) -> bool {
        self.text[at..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '<' | '&'))
    }

    /// Removes a part of the text. A line break or space stands for it where a reader sees one, and there is none yet.
    fn remove(&mut self, start: usize, end: usize, shown: Shown) -> usize {
        let before = self.rewriter.last_before(start);
        let is_joined = || before.is_some_and(char::is_alphanumeric) && self.continues_at(end);
        let separator = match shown {
            Shown::Line if before.is_some_and(|c| c != '\n') && !self.text[end..].starts_with(['\n', '\r']) => "\n",
            Shown::Block | Shown::Menu if before.is_some() => {
                let n_breaks =
                    self.rewriter.n_breaks_before(start) + usize::from(self.text[end..].starts_with(['\n', '\r']));
                ["\n\n", "\n", ""][n_breaks.min(2)]
            }
            Shown::Apart | Shown::Hidden if is_joined() => " ",
            _ => "",
        };
        self.rewriter.replace(ByteSpan::new(start, end), separator);
        end
    }
}

/// Whether `text` starts with `word`, whatever its case, and the word ends there.
fn starts_with_word(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    let is_word = bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    is_word && !bytes.get(word.len()).is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests;
