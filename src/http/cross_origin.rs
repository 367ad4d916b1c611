//! Which methods an address takes (`OPTIONS`), and which web pages of other origins may call it (CORS).

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ALLOW, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Any, CorsLayer};

use super::quota::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::system::choice::shortened;
use crate::system::spans::TRACE_RESPONSE;

/// An origin whose pages may call the service; `*` is every origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

const ANY: &str = "*";

impl FromStr for CorsOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| {
            format!("`{}` {why}; give an origin such as https://www.example.com, or * for every one", shortened(text))
        };
        let value = HeaderValue::from_str(text).map_err(|_| refuse("has characters that no origin has"))?;
        if text == ANY {
            return Ok(Self(value));
        }
        let uri: Uri = text.parse().map_err(|_| refuse("is no origin"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(host)) if text.ends_with(host.as_str()) && text.to_lowercase() == text => {
                Ok(Self(value))
            }
            (Some("http" | "https"), Some(_)) => {
                Err(refuse("has more than scheme, host and port, or capital letters, and browsers send neither"))
            }
            _ => Err(refuse("does not begin with http:// or https://")),
        }
    }
}

/// Which web pages of other origins may call the service.
#[derive(Clone, Default)]
pub struct Cors {
    origins: Vec<CorsOrigin>,
    /// What tells browsers; `None`: they refuse answers to all pages.
    layer: Option<CorsLayer>,
}

impl Cors {
    /// The rules for pages of `origins`.
    pub fn new(origins: Vec<CorsOrigin>) -> Self {
        Self { layer: layer(&origins), origins }
    }

    pub fn allows_every_page(&self) -> bool {
        self.origins.iter().any(|origin| origin.0 == ANY)
    }

    /// Whether pages of the origin in a header may call the service.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.allows_every_page() || self.origins.iter().any(|allowed| allowed.0 == origin)
    }
}

fn layer(origins: &[CorsOrigin]) -> Option<CorsLayer> {
    /// For which browsers remember an answer to `OPTIONS`.
    const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
    if origins.is_empty() {
        return None;
    }
    let cors = CorsLayer::new()
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            RETRY_AFTER,
            RATE_LIMIT.clone(),
            RATE_LIMIT_POLICY.clone(),
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static(TRACE_RESPONSE),
        ])
        .allow_private_network(true)
        .max_age(MAX_AGE);
    Some(match origins.iter().any(|origin| origin.0 == ANY) {
        true => cors.allow_origin(Any),
        false => cors.allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.0.clone()))),
    })
}

/// Adds what browsers must know to let a page of another origin read the answer, and answers their question before.
pub async fn answer_other_origins(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    // Without the header it is the question which methods the address takes.
    let is_question =
        request.method() == Method::OPTIONS && !request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    match &cors.layer {
        Some(cors) if !is_question => {
            let Ok::<_, Infallible>(response) = cors.layer(next).oneshot(request).await;
            response
        }
        _ => next.run(request).await,
    }
}

/// Adds `OPTIONS` to the methods that axum lists.
pub async fn list_options(mut response: Response) -> Response {
    if let Some(methods) = response.headers().get(ALLOW).and_then(|methods| methods.to_str().ok())
        && let Ok(all) = HeaderValue::from_str(&format!("{methods},OPTIONS"))
    {
        response.headers_mut().insert(ALLOW, all);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (text, is_origin) in [
            ("*", true),
            ("https://www.example.com", true),
            ("http://localhost:3000", true),
            ("http://[::1]:3000", true),
            ("https://www.example.com/", false),
            ("https://www.example.com/a", false),
            ("https://WWW.example.com", false),
            ("www.example.com", false),
            ("ftp://example.com", false),
            ("null", false),
            ("", false),
            ("https://a.example, https://b.example", false),
            ("https://b\u{fc}cher.example\n", false),
        ] {
            assert_eq!(text.parse::<CorsOrigin>().is_ok(), is_origin, "{text}");
        }
    }
}
