//! Calls to a running server, for the commands that take its address (`--server`).

use std::io::ErrorKind;
use std::time::Duration;

use ressort::system::tls_client::{tls_failure, tls_for};
use ureq::http::Request;

/// A call to the server at `server`.
pub struct Call<'c> {
    pub server: &'c str,
    pub method: &'c str,
    /// With the query, from the first slash on.
    pub path: &'c str,
    pub key: Option<&'c str>,
    pub body: String,
    /// Of the whole call; `None`: as long as it takes.
    pub timeout: Option<Duration>,
}

/// What the server answered, whether it did what was wanted or not.
pub struct ServerAnswer {
    pub url: String,
    pub status: u16,
    pub text: String,
}

impl ServerAnswer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Call<'_> {
    /// # Errors
    /// Where the server gives no answer: the cause, and what to do.
    pub fn send(self) -> anyhow::Result<ServerAnswer> {
        let url = format!("{}{}", self.server.trim_end_matches('/'), self.path);
        let failed = |error: ureq::Error| anyhow::anyhow!("{url}: {}", unreachable(&url, &error));
        let config = ureq::Agent::config_builder().tls_config(tls_for(&url)).timeout_global(self.timeout);
        let agent = config.http_status_as_error(false).build().new_agent();
        let mut request = Request::builder().method(self.method).uri(&url).header("content-type", "application/json");
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(self.body).map_err(|error| failed(error.into()))?;
        let mut answer = agent.run(request).map_err(failed)?;
        let text = answer.body_mut().read_to_string().map_err(failed)?;
        Ok(ServerAnswer { status: answer.status().as_u16(), text, url })
    }
}

/// Why there is no answer, and what to do.
fn unreachable(url: &str, error: &ureq::Error) -> String {
    if let Some(failure) = tls_failure(error) {
        return failure;
    }
    let remedy = match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            return "this is no address of a server; give one such as http://127.0.0.1:8080 with --server".to_owned();
        }
        ureq::Error::HostNotFound => "no machine has this name; name the server with --server",
        ureq::Error::Io(error) if error.to_string().contains("lookup") => {
            "no machine has this name; name the server with --server"
        }
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "is the server running? Name it with --server"
        }
        ureq::Error::Timeout(_) => "is the server busy, or another program? Name it with --server",
        _ if url.starts_with("http://") => {
            "is it the server? Name it with --server, and with https:// where it has a certificate (--tls-certificate)"
        }
        _ => "is the server running? Name it with --server",
    };
    format!("{error}; {remedy}")
}
