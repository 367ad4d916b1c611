//! Keeps web pages from using a server without keys through the browser of a visitor. A page of another origin shows in `Origin`
//! and `Sec-Fetch-Site`. A page whose name leads to this machine (DNS rebinding) shows in `Host`.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};

use super::cross_origin::Cors;
use super::error::{Code, Problem};
use super::host::{HostField, HostName};
use crate::system::choice::shortened;

/// What browsers say of the page that sends a request.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Headers that proxies add, and browsers where a page sends a request.
const NOT_DIRECT: [&str; 5] = ["forwarded", "x-forwarded-for", "x-real-ip", "via", "origin"];

/// A name under which a server without keys answers; `*` is every one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost(String);

const ANY: &str = "*";

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == ANY {
            return Ok(Self(text.to_owned()));
        }
        // A pattern or a list would never match.
        let is_plain = text.chars().all(|char| char.is_ascii_alphanumeric() || "-_.[:]".contains(char));
        match HostField::parse(text).filter(|_| is_plain && !text.ends_with(':')) {
            Some(HostField { name: HostName::Name(name), port: None }) if !name.is_empty() => Ok(Self(name)),
            Some(HostField { name: HostName::Address(address), port: None }) => Ok(Self(address.to_string())),
            _ => Err(format!(
                "`{}` is no name of a host; give it without scheme, port and path, such as ressort.example.com, or * for every one",
                shortened(text)
            )),
        }
    }
}

/// The names and addresses under which a server without keys answers.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    listens_on: IpAddr,
    names: Vec<AllowedHost>,
}

impl Default for AllowedHosts {
    fn default() -> Self {
        Self::new(Ipv4Addr::LOCALHOST.into(), Vec::new())
    }
}

impl AllowedHosts {
    /// Those of the loopback, the address that the server listens on, and `names`. Where it listens on all addresses, that is each
    /// address: a page has one as its host only if it came from there.
    pub fn new(listens_on: IpAddr, names: Vec<AllowedHost>) -> Self {
        Self { listens_on, names }
    }

    fn allow(&self, host: &str) -> bool {
        let Some(HostField { name, .. }) = HostField::parse(host) else { return false };
        let is_named = |name: &str| self.names.iter().any(|allowed| allowed.0 == name || allowed.0 == ANY);
        match name {
            HostName::Name(name) => name == "localhost" || is_named(&name),
            HostName::Address(address) => {
                let is_of_server = address == self.listens_on || self.listens_on.is_unspecified();
                address.is_loopback() || is_of_server || is_named(&address.to_string())
            }
        }
    }
}

/// Checks a request that has no key, on a server that requires none.
pub fn check_unkeyed(cors: &Cors, hosts: &AllowedHosts, request: &Request) -> Result<(), Problem> {
    if cors.allows_every_page() {
        return Ok(());
    }
    if let Some(found) = foreign_host(request, hosts) {
        return Err(forbidden(format!(
            "{found}, and without keys this server answers under `localhost`, its address and the names of --allowed-host only, since a web page may use any other name (DNS rebinding); set a key (RESSORT_API_KEY), or add --allowed-host NAME"
        )));
    }
    if let Some(page) = foreign_page(cors, request) {
        return Err(forbidden(format!(
            "the request comes from a web page of {page}, and without keys this server answers its own page only; allow the page with --cors-origin, or set a key (RESSORT_API_KEY)"
        )));
    }
    Ok(())
}

/// Checks a request that changes models, on a server without keys. It must come straight from this machine: a request that a
/// proxy passes on may come from anywhere.
pub fn check_local(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    // `none`: the user opened the address.
    let of_page = headers.get(SEC_FETCH_SITE).filter(|site| *site != "none");
    let named = |name: &'static str| Some((name, headers.get(name)?));
    let indirect = of_page.map(|site| (SEC_FETCH_SITE, site)).or_else(|| NOT_DIRECT.into_iter().find_map(named));
    let indirect = || indirect.map(|(name, value)| format!("the request has the header `{name}: {}`", shown(value)));
    match foreign_host(request, &AllowedHosts::default()).or_else(indirect) {
        None => Ok(()),
        Some(found) => Err(forbidden(format!(
            "{found}, and without an admin key models can be changed from this machine only, and neither by a web page nor through a proxy; set RESSORT_ADMIN_KEY or --admin-key-file"
        ))),
    }
}

/// What a request says of its host, where that is not allowed.
fn foreign_host(request: &Request, allowed: &AllowedHosts) -> Option<String> {
    let header = request.headers().get_all(HOST).iter();
    let header = header.map(|host| (format!("the header `Host` is `{}`", shown(host)), host.to_str().ok()));
    // An address with a host counts as `Host` (RFC 9112, section 3.2.2).
    let target = request.uri().authority().map(|authority| {
        (format!("the request is for the host `{}`", shortened(authority.as_str())), Some(authority.as_str()))
    });
    let mut hosts = header.chain(target).peekable();
    if hosts.peek().is_none() {
        return Some("the request has no header `Host`".to_owned());
    }
    hosts.find(|(_, host)| !host.is_some_and(|host| allowed.allow(host))).map(|(found, _)| found)
}

/// The page of another origin that sends a request, unless it may.
fn foreign_page(cors: &Cors, request: &Request) -> Option<String> {
    let headers = request.headers();
    let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    let mut origins = headers.get_all(ORIGIN).iter();
    match site {
        Some(b"same-origin") => None,
        // Navigation and images have no `Origin`.
        Some(site) if site != b"none" && !headers.contains_key(ORIGIN) => {
            Some(format!("another origin (`sec-fetch-site: {}`)", shortened(&String::from_utf8_lossy(site))))
        }
        _ => {
            let is_own = |origin: &HeaderValue| site.is_none() && is_own(origin, headers);
            let foreign = origins.find(|origin| !is_own(origin) && !cors.allows(origin));
            foreign.map(|origin| format!("the origin `{}`", shown(origin)))
        }
    }
}

/// Whether an origin is that of the server, as `Host` names it. Neither has the port that its scheme implies.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let origin = text(origin).and_then(|origin| HostField::parse(origin.split_once("://")?.1));
    let host = headers.get(HOST).and_then(text).and_then(|host| HostField::parse(&host));
    origin.is_some() && origin == host
}

fn shown(value: &HeaderValue) -> String {
    shortened(&String::from_utf8_lossy(value.as_bytes()))
}

fn forbidden(detail: String) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_keys_answers_under_its_own_names_and_those_that_are_listed() {
        let loopback = ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1:1", "127.9.9.9", "[::1]:8080", "[::1]"];
        let mapped = ["[::ffff:127.0.0.1]"];
        let foreign =
            ["", "evil.example", "localhost.evil.example", "a.localhost", "localhost:99999", "[::1", "0", "::1"];
        let addresses = ["192.0.2.1", "192.0.2.1:8080"];
        let others = ["192.0.2.2", "[2001:db8::1]", "0.0.0.0"];
        let listed = ["ressort.example.com", "Ressort.Example.COM.:443"];
        let names = || vec!["Ressort.example.com".parse().unwrap()];
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let all = || [&loopback[..], &mapped, &foreign, &addresses, &others, &listed].concat();
        let check = |hosts: &AllowedHosts, allowed: &[&[&str]]| {
            let found: Vec<&str> = all().into_iter().filter(|host| hosts.allow(host)).collect();
            assert_eq!(found, allowed.concat(), "{hosts:?}");
        };
        check(&AllowedHosts::default(), &[&loopback, &mapped]);
        check(&AllowedHosts::new(address("::1"), names()), &[&loopback, &mapped, &listed]);
        check(&AllowedHosts::new(address("192.0.2.1"), Vec::new()), &[&loopback, &mapped, &addresses]);
        check(&AllowedHosts::new(address("0.0.0.0"), Vec::new()), &[&loopback, &mapped, &addresses, &others]);
        let any = AllowedHosts::new(address("127.0.0.1"), vec!["*".parse().unwrap()]);
        let broken = ["localhost:99999", "[::1", "0", "::1"];
        all().iter().for_each(|host| assert_eq!(any.allow(host), !broken.contains(host), "{host}"));
    }

    #[test]
    fn a_host_is_given_as_its_name_alone() {
        for (text, is_host) in [
            ("*", true),
            ("ressort.example.com", true),
            ("ressort", true),
            ("192.0.2.1", true),
            ("[2001:db8::1]", true),
            ("", false),
            ("2001:db8::1", false),
            ("ressort:8080", false),
            ("ressort:", false),
            ("https://ressort.example.com", false),
            ("ressort/x", false),
            ("*.example.com", false),
            ("a.example,b.example", false),
        ] {
            assert_eq!(text.parse::<AllowedHost>().is_ok(), is_host, "{text}");
        }
    }
}
