//! `GET /`: a page to try the service with. It is made of the files in `page/`, and loads nothing from other hosts.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::description::problems::PageProblems;
use super::error::{Code, Problem};
use super::in_path::InPath;
use crate::system::choice::shortened;

/// Nothing inline, nothing from elsewhere. A form is sent by the script only, so that no text gets into an address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const PAGE: &str = include_str!("page/page.html");

/// Name, media type and content of each file that the page loads.
macro_rules! files {
    ($($name:literal: $media_type:expr),+ $(,)?) => {
        &[$(($name, $media_type, include_str!(concat!("page/", $name)))),+]
    };
}

const FILES: &[(&str, &str, &str)] = files! {
    "icon.svg": "image/svg+xml",
    "page.css": CSS,
    "result.css": CSS,
    "api.js": SCRIPT,
    "calls.js": SCRIPT,
    "de.js": SCRIPT,
    "dom.js": SCRIPT,
    "en.js": SCRIPT,
    "examples.js": SCRIPT,
    "files.js": SCRIPT,
    "labels.js": SCRIPT,
    "main.js": SCRIPT,
    "names.js": SCRIPT,
    "offsets.js": SCRIPT,
    "reading.js": SCRIPT,
    "result.js": SCRIPT,
    "text.js": SCRIPT,
    "topics.js": SCRIPT,
    "widgets.js": SCRIPT,
    "words.js": SCRIPT,
};

/// The page and its files.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(page)).route("/page/{file}", get(file))
}

#[utoipa::path(
    get, path = "/", operation_id = "get_page", tag = "service", summary = "A page to try the service with", security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), PageProblems)
)]
pub async fn page() -> Response {
    send(HTML, PAGE)
}

async fn file(InPath(name): InPath<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, media_type, content)) => send(media_type, content),
        None => {
            let detail = format!("the page has no file `{}`; see /openapi.json for the addresses", shortened(&name));
            Problem::new(Code::NotFound, detail).into_response()
        }
    }
}

fn send(media_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // The files change with the program, and their addresses do not.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_its_own_files_and_nothing_else() {
        let quoted = |text: &'static str, before: &'static str| {
            text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
        };
        let addresses = [quoted(PAGE, "href=\""), quoted(PAGE, "src=\"")].concat();
        for address in addresses.into_iter().filter(|address| *address != "openapi.json") {
            let name = address.strip_prefix("page/").unwrap_or_else(|| panic!("{address}"));
            assert!(FILES.iter().any(|(known, ..)| *known == name), "{address}");
        }
        let mut loaded = vec!["icon.svg", "page.css", "result.css", "main.js"];
        for (name, _, content) in FILES {
            assert!(!content.contains("https:") && (!content.contains("http:") || *name == "icon.svg"), "{name}");
            assert!(!content.contains("innerHTML") && !content.contains("eval("), "{name}");
            loaded.extend(quoted(content, "from \"./"));
        }
        for (name, ..) in FILES {
            assert!(loaded.contains(name), "nothing loads {name}");
        }
        assert!(loaded.iter().all(|name| FILES.iter().any(|(known, ..)| known == name)), "{loaded:?}");
    }

    #[test]
    fn the_policy_allows_nothing_inline() {
        assert!(!POLICY.contains("unsafe"), "{POLICY}");
        for inline in ["<style", " style=", "<script>", " onclick=", " onload="] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
    }

    #[test]
    fn german_and_english_have_the_same_words() {
        let keys = |name: &str| {
            let (.., content) = FILES.iter().find(|(known, ..)| *known == name).unwrap();
            let keys = content.lines().filter_map(|line| line.trim().split_once(": "));
            keys.map(|(key, _)| key.to_owned()).filter(|key| !key.contains(' ')).collect::<Vec<_>>()
        };
        assert_eq!(keys("de.js"), keys("en.js"));
        assert!(keys("de.js").len() > 80);
        for key in PAGE.split("data-t=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(keys("de.js").contains(&key.to_owned()), "{key}");
        }
    }

    #[test]
    fn every_error_code_has_words_in_both_languages() {
        for name in ["de.js", "en.js"] {
            let (.., content) = FILES.iter().find(|(known, ..)| *known == name).unwrap();
            let (_, errors) = content.split_once("  errors: {\n").unwrap();
            for code in Code::ALL {
                let entry = format!("\n    {}: \"", code.as_str());
                assert!(errors.contains(&entry), "{name} has no words for {}", code.as_str());
            }
        }
    }
}
