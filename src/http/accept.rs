//! What a client accepts: the qualities in `accept` and `accept-encoding`.

use axum::http::header::{ACCEPT, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

pub const JSON_LINES: &str = "application/x-ndjson";

/// Whether the client names JSON lines, and does not prefer JSON.
pub fn accepts_lines(headers: &HeaderMap) -> bool {
    let of = |media_type| quality(headers, &ACCEPT, media_type).unwrap_or(0.0);
    let lines = of(JSON_LINES);
    lines > 0.0 && lines >= of("application/json")
}

/// The quality that a list of `header` gives to `wanted`: 0 refuses it, and `None` means that it is not named.
pub fn quality(headers: &HeaderMap, header: &HeaderName, wanted: &str) -> Option<f32> {
    let lists = headers.get_all(header).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let mut ranges = lists.flat_map(|list| list.split(','));
    let named =
        ranges.find(|range| range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(wanted)))?;
    let parameters = named.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut qualities = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    Some(qualities.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sent_to_clients_that_name_them_and_do_not_prefer_json() {
        for (accept, is_lines) in [
            ("application/x-ndjson", true),
            ("APPLICATION/X-NDJSON; charset=utf-8", true),
            ("application/json, application/x-ndjson", true),
            ("application/json;q=0.1, application/x-ndjson", true),
            ("application/x-ndjson;q=0.5, application/json", false),
            ("application/x-ndjson; Q=0", false),
            ("application/x-ndjson;q=0.0, */*", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(accepts_lines(&headers), is_lines, "{accept}");
        }
    }
}
