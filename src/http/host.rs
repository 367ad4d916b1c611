//! The header `Host`, which HTTP/1.1 requires.

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::{Code, Problem};
use crate::system::choice::shortened;

/// What is wrong with `Host`, as the connection found it. It is an extension of the request.
#[derive(Debug, Clone)]
struct RefusedHost(Problem);

/// Checks `Host` as RFC 9112 (section 3.2) requires it of servers. [`refuse`] answers, so that the refusal is logged as any other.
pub fn check_host<B>(request: &mut axum::http::Request<B>) {
    if let Err(why) = valid_host(request.version(), request.headers()) {
        let detail = format!("{why}; send one `Host: name:port`");
        request.extensions_mut().insert(RefusedHost(Problem::new(Code::InvalidHost, detail)));
    }
}

/// Answers a request whose `Host` is refused.
pub async fn refuse(mut request: Request, next: Next) -> Response {
    match request.extensions_mut().remove() {
        Some(RefusedHost(problem)) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn valid_host(version: Version, headers: &HeaderMap) -> Result<(), String> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        // HTTP/1.0 has no such header.
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err("the request has no header `Host`, which HTTP/1.1 requires".to_owned()),
        (Some(_), Some(_)) => Err("the request has more than one header `Host`".to_owned()),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(host), None) => {
            let found = String::from_utf8_lossy(host.as_bytes());
            Err(format!("the header `Host` is `{}`, which is no name with an optional port", shortened(&found)))
        }
    }
}

/// Whether it is `uri-host [":" port]` of RFC 3986. A name may be empty: the request then belongs to no name.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if !host[at..].contains(&b']') => (&host[..at], &host[at + 1..]),
        _ => (host, &b""[..]),
    };
    let is_name = match name.strip_prefix(b"[") {
        Some(address) => address.strip_suffix(b"]").is_some_and(|address| {
            !address.is_empty() && address.iter().all(|byte| byte.is_ascii_alphanumeric() || b":.-_~".contains(byte))
        }),
        None => name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(byte)),
    };
    is_name && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_1_1_requires_one_valid_host() {
        for (hosts, is_valid) in [
            (&["example.com"][..], true),
            (&["example.com:8080"], true),
            (&["example.com:"], true),
            (&["127.0.0.1:80"], true),
            (&["[::1]:8080"], true),
            (&["[::1]"], true),
            (&["a_b-c.example"], true),
            (&[""], true),
            (&[], false),
            (&["a", "a"], false),
            (&["a b"], false),
            (&["user@example.com"], false),
            (&["example.com/x"], false),
            (&["example.com:http"], false),
            (&["a:1:2"], false),
            (&["[::1"], false),
            (&["[]"], false),
            (&["::1"], false),
            (&["bücher.example"], false),
            (&["a,b"], true),
        ] {
            let headers: HeaderMap = hosts
                .iter()
                .map(|host| (HOST, axum::http::HeaderValue::from_bytes(host.as_bytes()).unwrap()))
                .collect();
            assert_eq!(valid_host(Version::HTTP_11, &headers).is_ok(), is_valid, "{hosts:?}");
            let is_valid = is_valid || hosts.is_empty();
            assert_eq!(valid_host(Version::HTTP_10, &headers).is_ok(), is_valid, "HTTP/1.0 {hosts:?}");
        }
    }
}
