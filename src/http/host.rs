//! The header `Host`, which HTTP/1.1 requires.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        (Some(host), None)
            if std::str::from_utf8(host.as_bytes()).is_ok_and(|host| HostField::parse(host).is_some()) =>
        {
            Ok(())
        }
        (Some(host), None) => {
            let found = String::from_utf8_lossy(host.as_bytes());
            let found = shortened(&found);
            Err(format!(
                "the header `Host` is `{found}`, which is no name or address with an optional port up to 65535"
            ))
        }
    }
}

/// The value of `Host`: `uri-host [":" port]` of RFC 3986, with a port that TCP has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostField {
    pub name: HostName,
    pub port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    Address(IpAddr),
    /// In lower case, without the dot at its end. It may be empty: the request then belongs to no name.
    Name(String),
}

impl HostField {
    /// `None` where it is not valid. A name that ends in a number is an IPv4 address, as in browsers.
    pub fn parse(host: &str) -> Option<Self> {
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                (HostName::Address(IpAddr::from(address.parse::<Ipv6Addr>().ok()?).to_canonical()), port)
            }
            None => {
                let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
                (HostName::parse(name)?, port)
            }
        };
        let port = match port {
            "" => None,
            _ if name == HostName::Name(String::new()) => return None,
            port => port_number(port.strip_prefix(':')?)?,
        };
        Some(Self { name, port })
    }
}

impl HostName {
    fn parse(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
        let escapes = name.split('%').skip(1);
        let are_whole = |mut escapes: std::iter::Skip<std::str::Split<'_, char>>| {
            escapes.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
        };
        if !name.bytes().all(is_allowed) || !are_whole(escapes) {
            return None;
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let last = name.rsplit('.').next().unwrap_or_default();
        if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Address(name.parse::<Ipv4Addr>().ok()?.into()));
        }
        Some(Self::Name(name.to_ascii_lowercase()))
    }
}

/// The number of a port, which may be left out after its colon.
fn port_number(port: &str) -> Option<Option<u16>> {
    match port {
        "" => Some(None),
        // `parse` takes a sign too.
        _ if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok().map(Some),
        _ => None,
    }
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
            (&["a:65535"], true),
            (&["a:00080"], true),
            (&["a:65536"], false),
            (&["a:99999"], false),
            (&["a:+80"], false),
            (&["a:-1"], false),
            (&["a: 80"], false),
            (&[":80"], false),
            (&["[::1]:99999"], false),
            (&["[::1]80"], false),
            (&["[::1]]"], false),
            (&["[::1:8080"], false),
            (&["::1]"], false),
            (&["[127.0.0.1]"], false),
            (&["[localhost]"], false),
            (&["[1::2::3]"], false),
            (&["[fe80::1%eth0]"], false),
            (&["256.0.0.1"], false),
            (&["127.1"], false),
            (&["1.2.3.4."], true),
            (&["a%41b"], true),
            (&["a%4"], false),
            (&["a%zz"], false),
            (&["a%"], false),
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
