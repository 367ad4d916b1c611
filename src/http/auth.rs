//! Checks the keys: one to use the API, one to change its models. Both are sent as `Authorization: Bearer KEY`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::body::header;
use super::error::{Code, Problem};
use super::keys::{AdminAccess, ApiKey};

/// Passes a request that has the API key or the admin key, or any request when no API key is set.
pub async fn require_key(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // The right to change models includes the right to use them.
    let is_admin = matches!(&app.admin, AdminAccess::Key(key) if check_key(key, &request).is_ok());
    let passes = app.api_key.as_ref().filter(|_| !is_admin).map_or(Ok(()), |key| check_key(key, &request));
    pass(passes, request, next).await
}

/// Passes a request that may change models.
pub async fn require_admin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let passes = match &app.admin {
        AdminAccess::Key(key) => check_key(key, &request),
        AdminAccess::Anyone => check_local(&request),
        AdminAccess::Nobody => {
            let detail = "this server listens beyond the loopback and has no admin key; set RESSORT_ADMIN_KEY or --admin-key-file";
            Err(Problem::new(Code::Forbidden, detail))
        }
    };
    pass(passes, request, next).await
}

async fn pass(passes: Result<(), Problem>, request: Request, next: Next) -> Response {
    match passes {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Without a key, a web page must not change models through the browser of its visitor. So a request is refused when it names
/// an origin, or a host other than the loopback.
fn check_local(request: &Request) -> Result<(), Problem> {
    // A name that is no ASCII text is no name of the loopback.
    let mut hosts = request.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let is_loopback = hosts.all(is_loopback);
    if is_loopback && !request.headers().contains_key(ORIGIN) {
        return Ok(());
    }
    let detail = "without an admin key, models can be changed from this machine only, and not by a web page; set RESSORT_ADMIN_KEY or --admin-key-file";
    Err(Problem::new(Code::Forbidden, detail))
}

/// Whether a `Host` header names the loopback.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn check_key(key: &ApiKey, request: &Request) -> Result<(), Problem> {
    let given = header(request, &AUTHORIZATION).and_then(|value| value.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let given = given.map(|(_, key)| key);
    match given {
        Some(given) if key.is(given) => Ok(()),
        Some(_) => {
            Err(Problem::new(Code::Unauthorized, "the key is wrong; send the key that the server was started with"))
        }
        None => Err(Problem::new(Code::Unauthorized, "a key is required; send the header `Authorization: Bearer KEY`")),
    }
}
