//! What vanishes, what ends a line and what stays; hostile markup; properties of the alignment.

use proptest::prelude::*;

use super::*;

fn view(text: &str) -> String {
    remove_markup(text).map_or(text.to_owned(), |changed| changed.text)
}

#[test]
fn tags_vanish_and_end_lines_where_a_browser_ends_them() {
    for (text, expected) in [
        ("Ham<b>burg</b> liegt", "Hamburg liegt"),
        ("<p>Ham<B>burg</B></p><P>Berlin</P>", "Hamburg\n\nBerlin\n\n"),
        ("Hamburg<br>Berlin<br/>Köln<br />Ulm", "Hamburg\nBerlin\nKöln\nUlm"),
        ("<td>Hamburg</td><td>Berlin</td>", "Hamburg\n\nBerlin\n\n"),
        ("<li>Bonn<ol>\n<li>Ulm", "Bonn\n\nUlm"),
        ("Hamburg<br>\nBerlin</p>\r\n<p>Köln", "Hamburg\nBerlin\n\r\nKöln"),
        (r#"<a href="x>y" title='a"b' target=_blank>Ulm</a>"#, "Ulm"),
        (r#"<a href = "x"class="y">Ulm</a >"#, "Ulm"),
        ("<input checked disabled>Ulm<div data-x\n>Hof", "Ulm\n\nHof"),
        ("<font color=red size=+1>Ulm</font><o:p></o:p>", "Ulm"),
        ("<sup>1</sup>Merkel<sup>1</sup> in<img src=x.png>Ulm, CO<sub>2</sub>", "1 Merkel 1 in Ulm, CO2"),
    ] {
        assert_eq!(view(text), expected, "{text:?}");
    }
}

#[test]
fn what_a_browser_does_not_show_vanishes() {
    for (text, expected) in [
        ("Ulm<!-- <b> --> Hof<!-->Ulm<!--->Hof", "Ulm HofUlmHof"),
        ("<!DOCTYPE html><html><head><title>Ulm</title></head><body>Hof</body></html>", "Hof\n\n"),
        ("Ulm<nav><a href='/s'>Sport</a></nav>Hof", "Ulm\n\nHof"),
        ("<p>Ulm</p>\n<NAV>\n<ul><li>Sport</ul>\n</NAV>\n<p>Hof</p>", "Ulm\n\n\nHof\n\n"),
        ("Ulm<nav>Hof", "Ulm\n\nHof"),
        ("Ulm<nav><!-- </nav> --><a>Sport</a></nav>Hof", "Ulm\n\nHof"),
        ("Ulm<nav><!-- </nav> <a>Sport</a></nav>Hof", "Ulm\n\n Sport\n\nHof"),
        ("<nav>Ulm<!-- Sport --> Hof<!-- Bonn", "Ulm Hof<!-- Bonn"),
        ("Ulm<script>'<!--'</script>Hof<script>'-->'</script>", "Ulm Hof"),
        ("Ulm<script type='x'>a < b && c</SCRIPT >Hof<style>b{}</style>", "Ulm Hof"),
        ("<?xml version='1.0'?><![CDATA[Ulm]]> [Hof]]", "Ulm [Hof]]"),
        ("<![if !IE]>Ulm<![endif]>", "Ulm"),
        ("<svg/>Ulm <svg><text>Hof</text></svg>", "Ulm "),
    ] {
        assert_eq!(view(text), expected, "{text:?}");
    }
}

#[test]
fn what_only_looks_like_markup_stays() {
    for text in [
        "a < b und c > d",
        "<3",
        "<Name der Redaktion geändert>",
        "x<y>z",
        "Ende <",
        "Ende <b",
        "<max@zeitung.de>",
        "<a@b.de>",
        "<i.meier@b.de>",
        "wenn a <b und c> d",
        "a<b>c",
        "i<s>t",
        "<Link zum Video>",
        "< b >",
        "</>",
        "</ b>",
        "<>",
        "<!",
        "<!-- Ulm",
        "<?",
        "<https://b.de>",
        "<b x=>",
        "<b \"x\">",
        "<a href=\"x>Ulm",
        "<bä>",
        "<b ä=1>",
        "AT&T",
        "R&D",
        "a && b",
        "]]>",
        "<![CDATA",
        "<!ELEMENT>",
        "5 <p 6> 7",
    ] {
        assert_eq!(view(text), text);
    }
}

#[test]
fn an_element_that_is_not_closed_hides_nothing() {
    assert_eq!(view("Das <script> der Stadt Ulm"), "Das  der Stadt Ulm");
    assert_eq!(view("<head>Ulm</script>"), "Ulm");
}

/// In square time each of these takes minutes.
#[test]
fn hostile_markup_is_read_in_linear_time_and_does_not_grow() {
    const N_BYTES: usize = 200_000;
    for unit in [
        "<",
        "&",
        "]",
        "]]>",
        "<!--",
        "<![CDATA[",
        "<!doctype ",
        "<?x",
        "<script>",
        "<a b=\"",
        "<a b='\"' c=\"",
        "<a b",
        "x<b>x",
        "</script",
        "&#",
        "&#9",
        "&a",
        "<![x",
        "<b>",
        "</b>",
        "<a b=\" c='",
        "<a b='\" x=' c=\"",
        "<style>x</script>",
        "<nav><!--",
        "<nav><!-- </nav>",
        "<nav><!-- -->",
    ] {
        let text = unit.repeat(N_BYTES / unit.len());
        for text in [format!("{text}</b>"), text] {
            assert!(view(&text).len() <= text.len(), "{unit}");
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let parts = vec![
        "<b>",
        "</b>",
        "<br/>",
        "<p class=\"x>\">",
        "<!-- x -->",
        "<script>x</script>",
        "&uuml;",
        "&amp;",
        "&lt;",
        "&#228;",
        "<",
        ">",
        "&",
        "\"",
        "<![CDATA[",
        "]]>",
        "</p",
        "<td ",
        "b=",
        "Ulm",
        " ",
        "ä",
        "\n",
        "<sup>",
        "<!--",
        "-->",
    ];
    let piece = prop_oneof![6 => prop::sample::select(parts).prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_character_of_the_view_stands_for_a_slice_and_the_view_does_not_grow(text in any_text()) {
        let Some(Changed { text: view, alignment }) = remove_markup(&text) else { return Ok(()) };
        prop_assert!(view.len() <= text.len() + text.matches('&').count());
        let mut last = ByteSpan::new(0, 0);
        for (at, c) in view.char_indices() {
            let original = alignment.to_original(ByteSpan::new(at, at + c.len_utf8()));
            prop_assert!(original.slice(&text).is_some_and(|slice| !slice.is_empty()));
            // Two characters may stand for one tag or reference.
            prop_assert!(original.start >= last.start && original.end >= last.end);
            last = original;
        }
    }

    #[test]
    fn a_text_without_markup_is_not_copied(text in "[^<&]*") {
        prop_assert!(remove_markup(&text).is_none());
    }
}

#[test]
fn custom_elements_and_attributes_without_quotes_are_tags() {
    for (text, seen) in [
        ("<custom-tag>Merkel</custom-tag>", "Merkel"),
        ("<amp-img src=\"x\">Köln</amp-img>", "Köln"),
        ("<st1:City w:st=\"on\">Ulm</st1:City>", "Ulm"),
        ("<b>H<w:x/>of</b>", "Hof"),
        ("<p class=x alt=Angela Merkel Müller>Ulm", "Ulm"),
        ("<mailto:max> <a-b> <Name-geändert> <b Angela>", "<mailto:max> <a-b> <Name-geändert> <b Angela>"),
    ] {
        let changed = remove_markup(text);
        assert_eq!(changed.as_ref().map_or(text, |changed| changed.text.as_str()).trim(), seen, "{text}");
    }
}
