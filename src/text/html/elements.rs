//! The elements of HTML, and how a browser shows them.

/// An element of HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// In small letters.
    pub name: &'static str,
    pub shown: Shown,
}

impl Element {
    /// Whether its content is no markup.
    pub fn is_raw(&self) -> bool {
        RAW.contains(&self.name)
    }
}

/// What a tag is for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: a word goes on.
    Joined,
    /// Something between two words, or a raised mark of a footnote.
    Apart,
    /// The end of a line.
    Line,
    /// The end of a paragraph, list item or cell.
    Block,
    /// An element whose content is not shown.
    Hidden,
    /// A block whose content is no part of an article.
    Menu,
}

const JOINED: &[&str] = &[
    "a", "abbr", "acronym", "b", "base", "basefont", "bdi", "bdo", "big", "blink", "cite", "code", "data", "del",
    "dfn", "em", "font", "i", "ins", "kbd", "label", "link", "mark", "meta", "nobr", "o:p", "q", "rb", "rp", "rt",
    "rtc", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "time", "tt", "u", "var", "wbr",
];

const APART: &[&str] = &[
    "applet", "area", "audio", "button", "canvas", "datalist", "embed", "img", "input", "map", "meter", "object",
    "output", "param", "picture", "progress", "slot", "source", "sup", "track", "video",
];

const LINE: &[&str] = &["br"];

const BLOCK: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "listing",
    "main",
    "marquee",
    "menu",
    "noframes",
    "ol",
    "optgroup",
    "option",
    "p",
    "pre",
    "search",
    "section",
    "select",
    "summary",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "xmp",
];

const HIDDEN: &[&str] = &["head", "iframe", "math", "noscript", "script", "style", "svg", "template"];

/// Elements whose content is no markup, so that a comment in it is none.
const RAW: &[&str] = &["iframe", "noscript", "script", "style"];

const MENU: &[&str] = &["nav"];

/// Attributes without a value.
const SWITCHES: &[&str] = &[
    "allowfullscreen",
    "async",
    "autofocus",
    "autoplay",
    "checked",
    "compact",
    "controls",
    "default",
    "defer",
    "disabled",
    "download",
    "formnovalidate",
    "hidden",
    "inert",
    "ismap",
    "itemscope",
    "loop",
    "multiple",
    "muted",
    "nohref",
    "nomodule",
    "noresize",
    "noshade",
    "novalidate",
    "nowrap",
    "open",
    "playsinline",
    "readonly",
    "required",
    "reversed",
    "selected",
];

/// An element that a page or a word processor defines. Browsers show its content as they show that of `<span>`.
const CUSTOM: Element = Element { name: "", shown: Shown::Joined };

/// Whether a name is that of a custom element (`amp-img`) or has a prefix (`st1:City`).
fn is_custom(name: &str) -> bool {
    const LONGEST_PREFIX: usize = 5;
    let is_lower = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let starts = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    match name.split_once(':') {
        Some((prefix, local)) => {
            let is_prefix = prefix.len() <= LONGEST_PREFIX && starts(prefix) && is_lower(prefix);
            is_prefix && starts(local) && !local.contains(':')
        }
        None => {
            name.find('-').is_some_and(|at| at > 1)
                && starts(name)
                && name.split('-').all(|part| !part.is_empty() && is_lower(part))
        }
    }
}

/// The element of this name in capitals or small letters.
pub fn element(name: &str) -> Option<Element> {
    let find = |(names, shown): (&[&'static str], Shown)| {
        let name = names.iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some(Element { name, shown })
    };
    [
        (JOINED, Shown::Joined),
        (LINE, Shown::Line),
        (BLOCK, Shown::Block),
        (APART, Shown::Apart),
        (HIDDEN, Shown::Hidden),
        (MENU, Shown::Menu),
    ]
    .into_iter()
    .find_map(find)
    .or_else(|| is_custom(name).then_some(CUSTOM))
}

/// Whether an attribute may stand without a value. Those with a hyphen are an author's own.
pub fn is_switch(attribute: &str) -> bool {
    attribute.contains('-') || SWITCHES.iter().any(|known| known.eq_ignore_ascii_case(attribute))
}
