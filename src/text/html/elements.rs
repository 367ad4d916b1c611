//! The elements of HTML, and how a browser shows them.

/// An element of HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// In small letters.
    pub name: &'static str,
    pub shown: Shown,
}

/// What a tag is for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: a word goes on.
    Joined,
    /// Something between two words, or a raised mark of a footnote.
    Apart,
    /// The end of a line or cell.
    Line,
    /// An element whose content is not shown.
    Hidden,
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

const LINE: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
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
    "nav",
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

/// The element of this name in capitals or small letters.
pub fn element(name: &str) -> Option<Element> {
    let find = |(names, shown): (&[&'static str], Shown)| {
        let name = names.iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some(Element { name, shown })
    };
    [(JOINED, Shown::Joined), (LINE, Shown::Line), (APART, Shown::Apart), (HIDDEN, Shown::Hidden)]
        .into_iter()
        .find_map(find)
}

/// Whether an attribute may stand without a value. Those with a hyphen are an author's own.
pub fn is_switch(attribute: &str) -> bool {
    attribute.contains('-') || SWITCHES.iter().any(|known| known.eq_ignore_ascii_case(attribute))
}
