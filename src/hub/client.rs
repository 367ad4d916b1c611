//! Requests to a hub: redirects, the token, and what its refusals mean.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION, RANGE};
use ureq::http::{HeaderMap, Response, Uri};

use super::HubError;
use super::checksum::Checksum;
use super::listing::Listing;
use super::repository::{Repository, in_url};
use crate::system::build_info::VERSION;
use crate::system::tls_client::{tls_failure, tls_for};

pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// For a connection, and between two pieces of an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 8;
const MAX_LISTING_BYTES: u64 = 64_000_000;

/// A hub, and the account that asks it.
#[derive(Debug)]
pub struct Hub {
    agent: Agent,
    /// Without a slash at the end.
    endpoint: String,
    token: Option<String>,
}

/// The content of a file from some byte on.
pub struct Content {
    /// The first byte that `body` gives: that which was asked for, or 0.
    pub start: u64,
    /// Bytes of the whole file, where the hub tells.
    pub n_bytes: Option<u64>,
    pub checksum: Option<Checksum>,
    pub body: Box<dyn Read>,
}

/// Why a request for a file gave nothing.
pub enum Refusal {
    /// A later request may succeed.
    Passing(String),
    /// The file has no such byte.
    NoSuchRange,
    Final(HubError),
}

impl Hub {
    /// `token` is that of an account; it is sent to the host of `endpoint` alone.
    pub fn new(endpoint: &str, token: Option<String>) -> Result<Self, HubError> {
        let bad = || HubError::BadEndpoint(endpoint.to_owned());
        let uri: Uri = endpoint.parse().map_err(|_| bad())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none();
        uri.host().filter(|_| is_web).ok_or_else(bad)?;
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(HubError::BadToken);
        }
        let config = Agent::config_builder()
            // A hub without TLS, as a mirror in a network, may redirect to one that has it.
            .tls_config(tls_for(DEFAULT_ENDPOINT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(TIMEOUT))
            .timeout_resolve(Some(TIMEOUT))
            .timeout_per_read(Some(TIMEOUT))
            .timeout_per_write(Some(TIMEOUT))
            .accept_encoding("identity")
            .user_agent(format!("ressort/{VERSION}"));
        let agent = config.build().new_agent();
        Ok(Self { agent, endpoint: endpoint.trim_end_matches('/').to_owned(), token })
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The files of a repository at its revision.
    pub fn listing(&self, repository: &Repository) -> Result<Listing, HubError> {
        let revision = in_url(&repository.revision).replace('/', "%2F");
        let url = format!("{}/api/models/{}/revision/{revision}?blobs=true", self.endpoint, repository.id);
        let unreachable = |error: ureq::Error| self.unreachable(&url, &error);
        let (_, response) = self.follow(&url, 0).map_err(unreachable)?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return Err(self.refused(repository, &url, head.status.as_u16(), &head.headers));
        }
        let json = body.into_with_config().limit(MAX_LISTING_BYTES).read_to_vec().map_err(unreachable)?;
        Listing::parse(&json, &url, repository)
    }

    /// The file at `path` of a commit, from the byte `start` on.
    pub fn open(&self, repository: &Repository, commit: &str, path: &str, start: u64) -> Result<Content, Refusal> {
        let url = format!("{}/{}/resolve/{commit}/{}", self.endpoint, repository.id, in_url(path));
        let answer = self.follow(&url, start);
        let (linked, response) = answer.map_err(|error| match error {
            // These come again.
            ureq::Error::BadUri(_) | ureq::Error::TooManyRedirects | ureq::Error::Rustls(_) => {
                Refusal::Final(self.unreachable(&url, &error))
            }
            error => Refusal::Passing(self.unreachable(&url, &error).to_string()),
        })?;
        let (head, body) = response.into_parts();
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let checksum = linked.checksum.or_else(|| text(ETAG.as_str()).and_then(Checksum::parse));
        let body: Box<dyn Read> = Box::new(body.into_with_config().limit(u64::MAX).reader());
        match head.status.as_u16() {
            200 => {
                let length = text(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
                Ok(Content { start: 0, n_bytes: linked.n_bytes.or(length), checksum, body })
            }
            206 => {
                let range = text(CONTENT_RANGE.as_str()).and_then(content_range);
                let bad =
                    || HubError::BadAnswer { url, message: "a part of the file came without its range".to_owned() };
                let (start, n_bytes) = range.ok_or_else(bad).map_err(Refusal::Final)?;
                Ok(Content { start, n_bytes: linked.n_bytes.or(n_bytes), checksum, body })
            }
            416 => Err(Refusal::NoSuchRange),
            status @ (408 | 429 | 500..) => Err(Refusal::Passing(HubError::Status { url, status }.to_string())),
            status => Err(Refusal::Final(self.refused(repository, &url, status, &head.headers))),
        }
    }

    /// Sends a request, and again wherever it is redirected to. The token goes to the hub's own host alone.
    fn follow(&self, url: &str, start: u64) -> Result<(Linked, Response<ureq::Body>), ureq::Error> {
        let (mut url, mut linked) = (url.to_owned(), Linked::default());
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.agent.get(&url);
            if let Some(token) = self.token.as_ref().filter(|_| origin(&url) == origin(&self.endpoint)) {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            if start > 0 {
                request = request.header(RANGE, format!("bytes={start}-"));
            }
            let response = request.call()?;
            linked.note(response.headers());
            let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
            let Some(location) = location else { return Ok((linked, response)) };
            let next = location.to_str().ok().and_then(|location| joined(&url, location));
            url = next.ok_or_else(|| ureq::Error::BadUri(format!("a redirect to {location:?}")))?;
        }
        Err(ureq::Error::TooManyRedirects)
    }

    fn unreachable(&self, url: &str, error: &ureq::Error) -> HubError {
        let of_network = || format!("{error}; check the network, HTTPS_PROXY, and the hub's address (HF_ENDPOINT)");
        HubError::Unreachable { url: url.to_owned(), message: tls_failure(error).unwrap_or_else(of_network) }
    }

    /// What a refusal means. Hubs name the cause in a header; without one, 401 and 404 say that there is no such repository for
    /// this account.
    fn refused(&self, repository: &Repository, url: &str, status: u16, headers: &HeaderMap) -> HubError {
        let code = headers.get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let (id, endpoint) = (repository.id.clone(), self.endpoint.clone());
        match (code, status) {
            ("GatedRepo", _) => HubError::Gated { repository: id, endpoint },
            ("RevisionNotFound", _) => HubError::NoRevision { repository: id, revision: repository.revision.clone() },
            ("EntryNotFound", _) => HubError::Status { url: url.to_owned(), status },
            ("RepoNotFound", _) | ("", 404) => HubError::NoRepository { repository: id, endpoint },
            (_, 401 | 403) if self.token.is_some() => HubError::TokenRefused { repository: id, status },
            (_, 401 | 403) => HubError::NoRepository { repository: id, endpoint },
            _ => HubError::Status { url: url.to_owned(), status },
        }
    }
}

/// What the hub's own answer says of a file that another host sends.
#[derive(Default)]
struct Linked {
    n_bytes: Option<u64>,
    checksum: Option<Checksum>,
}

impl Linked {
    /// The first answer that says it counts.
    fn note(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        self.n_bytes = self.n_bytes.or_else(|| text("x-linked-size")?.trim().parse().ok());
        let checksum = || text("x-linked-etag").and_then(Checksum::parse);
        self.checksum = self.checksum.take().or_else(checksum);
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_lowercase()))
}

/// Where a redirect from `url` to `location` leads; `None` where it gives up TLS or is no address.
fn joined(url: &str, location: &str) -> Option<String> {
    let (scheme, authority) = origin(url)?;
    let joined = match location {
        path if path.starts_with('/') && !path.starts_with("//") => format!("{scheme}://{authority}{path}"),
        other => other.to_owned(),
    };
    let (next, _) = origin(&joined)?;
    (next == "https" || (next == "http" && scheme == "http")).then_some(joined)
}

/// The first byte and the size of the whole of `bytes 5-9/10`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, n_bytes) = text.strip_prefix("bytes")?.trim().split_once('/')?;
    Some((range.split_once('-')?.0.trim().parse().ok()?, n_bytes.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_gives_up_tls() {
        for (url, location, expected) in [
            ("https://hub/a/b", "/c?d", Some("https://hub/c?d")),
            ("https://hub/a", "https://cdn/x", Some("https://cdn/x")),
            ("http://hub:1/a", "http://cdn/x", Some("http://cdn/x")),
            ("http://hub:1/a", "/x", Some("http://hub:1/x")),
            ("https://hub/a", "http://hub/x", None),
            ("https://hub/a", "//cdn/x", None),
            ("https://hub/a", "x", None),
            ("https://hub/a", "file:///etc/passwd", None),
        ] {
            assert_eq!(joined(url, location).as_deref(), expected, "{url} {location}");
        }
    }

    #[test]
    fn the_range_of_a_part_says_where_it_starts() {
        for (text, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-0/*", Some((0, None))),
            ("bytes */10", None),
            ("", None),
            ("items 1-2/3", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    #[test]
    fn an_address_or_a_token_that_cannot_be_one_is_refused_before_a_request() {
        for endpoint in ["", "hub", "ftp://hub", "https://", "https://hub/?a"] {
            assert!(matches!(Hub::new(endpoint, None), Err(HubError::BadEndpoint(_))), "{endpoint}");
        }
        assert!(matches!(Hub::new(DEFAULT_ENDPOINT, Some("a\nb".to_owned())), Err(HubError::BadToken)));
        assert_eq!(Hub::new("http://hub/", Some(" hf_x\n".to_owned())).unwrap().token.as_deref(), Some("hf_x"));
    }
}
