//! Answers to addresses that do not exist, and to methods that an address does not accept. They name the nearest that does.

use axum::extract::{MatchedPath, OriginalUri, Request};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::description::routes;
use super::error::{Code, Problem};
use crate::system::choice::{shortened, suggestion};

pub async fn no_route(OriginalUri(uri): OriginalUri) -> Problem {
    let path = uri.path();
    let remedy = match nearest(path) {
        nearest if nearest.is_empty() => "; see /openapi.json for the list".to_owned(),
        nearest => format!("{nearest} /openapi.json lists all"),
    };
    Problem::new(Code::NotFound, format!("`{}` is not an address of this service{remedy}", shortened(path)))
}

/// For methods without a handler; axum adds the header `allow`.
pub async fn no_method(OriginalUri(uri): OriginalUri, request: Request) -> Response {
    let method = request.method();
    if *method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let remedy = match (routes().get(route), route) {
        (Some(_), "/v1/classify") => r#"send POST, with the text in the body: {"text": "…"}"#.to_owned(),
        (Some(methods), _) => format!("send {}", methods.join(" or ")),
        (None, _) => "see /openapi.json for the methods that it accepts".to_owned(),
    };
    let (path, method) = (shortened(uri.path()), shortened(method.as_str()));
    Problem::new(Code::MethodNotAllowed, format!("`{path}` does not accept `{method}`; {remedy}")).into_response()
}

/// The end of a message about an address: the route that is spelled almost like it, or at its end below another path.
fn nearest(path: &str) -> String {
    let known = || routes().keys().map(String::as_str);
    let is_below = |route: &&str| route.len() > 1 && path.len() > route.len() && path.ends_with(*route);
    match known().filter(is_below).max_by_key(|route| route.len()) {
        Some(route) => format!("; did you mean `{route}`?"),
        None => suggestion(path.trim_end_matches('/'), known().filter(|route| route.len() > 1)),
    }
}
