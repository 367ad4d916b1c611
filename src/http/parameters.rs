//! The query parameters of an address. One that its route does not take is refused: ignored, it would seem to have an effect.

use axum::extract::{MatchedPath, Query, Request};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::description::routes;
use super::error::{Code, Problem};
use super::schema::REQUEST_FIELDS;
use crate::system::choice::{shortened, suggestion};

/// Answers a request with a parameter that its route does not take.
pub async fn refuse(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match check_parameters(request.method(), route, request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check_parameters(method: &Method, route: &str, uri: &Uri) -> Result<(), Problem> {
    let (Some(_), Some(known)) = (uri.query(), parameters(method, route)) else { return Ok(()) };
    let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return Ok(()) };
    let Some((name, _)) = given.iter().find(|(name, _)| !known.contains(&name.as_str())) else { return Ok(()) };
    let remedy = match suggestion(name, known.iter().copied()) {
        nearest if !nearest.is_empty() => nearest,
        _ => remedy(method, route, name),
    };
    let detail = format!("`{}` does not take the query parameter `{}`{remedy}", shortened(uri.path()), shortened(name));
    Err(Problem::new(Code::UnknownParameter, detail))
}

/// What to do in place of a parameter that is like no parameter of the route.
fn remedy(method: &Method, route: &str, name: &str) -> String {
    const TEXTS: [&str; 13] = [
        "text",
        "texts",
        "title",
        "lead",
        "document",
        "documents",
        "doc",
        "input",
        "inputs",
        "q",
        "query",
        "content",
        "sentence",
    ];
    let takes_body = matches!(*method, Method::POST | Method::PUT)
        && !route.starts_with("/v1/jobs/")
        && !["/v1/models/{name}", "/v1/active/rollback"].contains(&route);
    if !takes_body {
        return "; leave it out".to_owned();
    }
    let is_text = TEXTS.contains(&name.to_lowercase().as_str());
    match text_example(route) {
        Some(example) if is_text => {
            return format!("; send the text in the body, as JSON: {example}, and leave it out of the address");
        }
        _ if !["/v1/classify", "/v1/jobs"].contains(&route) => {
            return "; leave it out: options are fields of the JSON body, which /openapi.json lists".to_owned();
        }
        _ => {}
    }
    let nearest = suggestion(name, REQUEST_FIELDS.iter().copied());
    if REQUEST_FIELDS.contains(&name) {
        format!("; options are fields of the JSON body: send {{\"text\": \"…\", \"{name}\": …}} there")
    } else if nearest.is_empty() {
        "; leave it out: options are fields of the JSON body, and none has this name, see /openapi.json".to_owned()
    } else {
        format!("{nearest} Options are fields of the JSON body: send it there")
    }
}

/// A body with a text, where the route takes one.
fn text_example(route: &str) -> Option<&'static str> {
    match route {
        "/v1/classify" | "/v1/jobs" => Some(r#"{"text": "…"}"#),
        "/classify" => Some(r#"{"input": "…"}"#),
        "/" | "/predict" => Some(r#"{"inputs": "…"}"#),
        _ if route.starts_with("/models/") || route.starts_with("/pipeline/") => Some(r#"{"inputs": "…"}"#),
        _ => None,
    }
}

/// The query parameters that a route takes. `None`: pages and checks of health, which have no options, take any. So does a method
/// that the route does not accept, which is the first thing to say.
fn parameters(method: &Method, route: &str) -> Option<&'static [&'static str]> {
    /// What clients and gateways of other services add to an address. Neither changes an answer here.
    const OF_GATEWAYS: &[&str] = &["api-version", "wait"];
    const PAGES: [&str; 6] = ["/docs", "/page/", "/health", "/metrics", "/openapi.json", "/v2/health/"];
    let accepted = if *method == Method::HEAD { "GET" } else { method.as_str() };
    match route {
        "" => None,
        "/" if *method != Method::POST => None,
        _ if routes().get(route).is_some_and(|methods| !methods.contains(&accepted)) => None,
        "/v1/models/{name}" if *method == Method::DELETE => Some(&["forget_rollback"]),
        _ if route.starts_with("/v1/") => Some(&[]),
        _ if PAGES.iter().any(|page| route.starts_with(page)) => None,
        _ => Some(OF_GATEWAYS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_a_route_does_not_take_is_refused_with_where_it_goes() {
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        for (method, route, query, parts) in [
            (&post, "/v1/classify", "top_k=1", &["`top_k`", "JSON body", "\"top_k\": …"][..]),
            (&post, "/v1/classify", "top%5Fk", &["`top_k`"]),
            (&post, "/v1/classify", "text=Berlin", &["`text`; send the text in the body", r#"{"text": "…"}"#]),
            (&post, "/v1/jobs", "Inputs=Berlin", &["`Inputs`; send the text in the body", r#"{"text": "…"}"#]),
            (&post, "/v1/classify", "topk=1", &["did you mean `top_k`? Options are fields of the JSON body"]),
            (&post, "/v1/classify", "utm_source=a", &["leave it out: options are fields", "/openapi.json"]),
            (&post, "/predict", "text=Berlin", &[r#"{"inputs": "…"}"#]),
            (&post, "/models/{name}", "q=Berlin", &[r#"{"inputs": "…"}"#]),
            (&post, "/classify", "text=Berlin", &[r#"{"input": "…"}"#]),
            (&Method::PUT, "/v1/models/{name}", "path=/tmp", &["`path`; leave it out"]),
            (&post, "/v1/classify", "api-version=1", &["`api-version`"]),
            (&post, "/v1/jobs", "group=true", &["`group`", "JSON body"]),
            (&post, "/v1/jobs/{id}/cancel", "now=1", &["leave it out"]),
            (&get, "/v1/models", "x", &["leave it out"]),
            (&delete, "/v1/models/{name}", "forget_rolback=true", &["did you mean `forget_rollback`"]),
            (&post, "/predict", "truncate=true", &["`truncate`", "JSON body"]),
            (&post, "/", "top_k=1", &["`top_k`"]),
            (&post, "/v2/models/{name}/infer", "timeout=1", &["`timeout`"]),
        ] {
            let uri: Uri = format!("http://a/b?{query}").parse().unwrap();
            let problem = check_parameters(method, route, &uri).unwrap_err();
            assert_eq!(problem.code, Code::UnknownParameter);
            assert!(parts.iter().all(|part| problem.detail.contains(part)), "{route}: {}", problem.detail);
        }
        for (method, route, query) in [
            (&post, "/v1/classify", ""),
            (&post, "/v1/classify", "&"),
            (&delete, "/v1/models/{name}", "forget_rollback=true"),
            (&post, "/predict", "api-version=2024-02-01&wait=true"),
            (&get, "/", "utm_source=mail"),
            // 405 says more.
            (&get, "/v1/classify", "text=Berlin"),
            (&Method::HEAD, "/predict", "text=Berlin"),
            (&get, "/health/live", "probe=1"),
            (&get, "/metrics", "collect[]=cpu"),
            (&get, "/docs/swagger-ui.css", "v=1"),
        ] {
            let uri: Uri = format!("http://a/b?{query}").parse().unwrap();
            assert_eq!(check_parameters(method, route, &uri), Ok(()), "{method} {route} {query}");
        }
    }
}
