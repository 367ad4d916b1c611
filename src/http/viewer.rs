//! `GET /docs`: Swagger UI over the description of the API. It is part of the binary, and loads nothing from other hosts.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// Its own files, styles that its script sets, and images in them, are all that it needs.
const POLICY: &str =
    "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ressort API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"#;

/// The base address is made from that of the page, so that a proxy may serve it below a path.
const START: &str = r##"SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#ui",
  deepLinking: true,
  validatorUrl: null,
});
"##;

pub async fn page() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))
}

pub async fn start_script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript")], START)
}

pub async fn script() -> impl IntoResponse {
    static SCRIPT: LazyLock<Bytes> = LazyLock::new(|| file("swagger-ui-bundle.js"));
    ([(CONTENT_TYPE, "text/javascript"), (CACHE_CONTROL, "max-age=86400")], SCRIPT.clone())
}

pub async fn style() -> impl IntoResponse {
    static STYLE: LazyLock<Bytes> = LazyLock::new(|| file("swagger-ui.css"));
    ([(CONTENT_TYPE, "text/css"), (CACHE_CONTROL, "max-age=86400")], STYLE.clone())
}

/// A file of Swagger UI's distribution; a test holds that it is there.
fn file(name: &str) -> Bytes {
    let read = || {
        let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).ok()?;
        let path = archive.file_names().flatten().find(|path| path.ends_with(&format!("/dist/{name}")))?.into_owned();
        let mut content = Vec::new();
        archive.by_name(&path).ok()?.read_to_end(&mut content).ok()?;
        Some(content)
    };
    read().unwrap_or_default().into()
}
