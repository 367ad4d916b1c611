//! Checks the keys of requests, which are sent as `Authorization: Bearer KEY`, and who may change models.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::body::header;
use super::browser_guard::{check_local, check_unkeyed};
use super::error::{Code, Problem};
use super::keys::{AdminAccess, Key, KeyRing, Scope};

/// Who sends a request, for the handlers that count its documents.
#[derive(Debug, Clone, Default)]
pub struct Caller(Option<Arc<Key>>);

impl Caller {
    pub fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// The name of the caller's key; `None` where it has none.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|key| key.spec.name.as_str())
    }

    /// Whether the caller may see what a caller of this name left here: it is the same, or may change models.
    pub fn may_see(&self, owner: Option<&str>) -> bool {
        self.name() == owner || self.0.as_ref().is_some_and(|key| key.spec.opens(Scope::Admin))
    }

    /// Counts documents against the limits of the caller's key, before they are classified.
    pub fn take_documents(&self, n: usize) -> Result<(), Problem> {
        self.0.as_ref().map_or(Ok(()), |key| key.quota.take_documents(n))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Passes a request that has a key. Where none is required, it passes any other that no web page of others sent.
pub async fn require_key(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let keys = app.keys.load_full();
    let key = match given_key(&request) {
        // A wrong key is no reason to refuse what needs none.
        given if keys.anyone_reads => match given.and_then(|given| keys.find(given)) {
            Some(key) => Ok(Some(Arc::clone(key))),
            None => check_unkeyed(&app.cors, &app.hosts, &request).map(|()| None),
        },
        given => checked(&keys, given, Scope::Read).map(Some),
    };
    drop(keys);
    pass(key, request, next).await
}

/// Passes a request that may change models.
pub async fn require_admin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let keys = app.keys.load_full();
    let key = match (keys.has_admin(), app.admin) {
        (true, _) => checked(&keys, given_key(&request), Scope::Admin).map(Some),
        (false, AdminAccess::Anyone) if keys.is_empty() => check_local(&request).map(|()| None),
        _ => Err(Problem::new(
            Code::Forbidden,
            "this server has no admin key, so that nobody may change its models; set RESSORT_ADMIN_KEY or --admin-key-file, or give a key the scope `admin`",
        )),
    };
    drop(keys);
    pass(key, request, next).await
}

/// Answers a request unless it is refused or its key is used up.
async fn pass(key: Result<Option<Arc<Key>>, Problem>, mut request: Request, next: Next) -> Response {
    let key = match key {
        Ok(Some(key)) => key,
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match key.quota.take_request() {
        Ok(()) => {
            request.extensions_mut().insert(Caller(Some(Arc::clone(&key))));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    key.quota.write(response.headers_mut());
    response
}

/// The key that a request names.
fn given_key(request: &Request) -> Option<&str> {
    let (scheme, key) = header(request, &AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key)
}

fn checked(keys: &KeyRing, given: Option<&str>, scope: Scope) -> Result<Arc<Key>, Problem> {
    let Some(given) = given else {
        let detail = "a key is required; send the header `Authorization: Bearer KEY`";
        return Err(Problem::new(Code::Unauthorized, detail));
    };
    match keys.find(given) {
        Some(key) if key.spec.opens(scope) => Ok(Arc::clone(key)),
        Some(key) => Err(Problem::new(
            Code::Forbidden,
            format!("the key `{}` does not have the scope `{scope}`; send one that has it", key.spec.name),
        )),
        None => Err(Problem::new(Code::Unauthorized, "the key is wrong or was revoked; send a key of this server")),
    }
}
