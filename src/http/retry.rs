//! When an overloaded service wants a request again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::Response;

use super::app::App;
use super::error::{Code, Problem};

/// Replaces the `Retry-After` of refusals for overload by the time that the longest queue takes.
pub async fn say_when(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let is_overload = response.extensions().get::<Problem>().is_some_and(|problem| problem.code == Code::Overloaded);
    if is_overload {
        let models = app.registry.models();
        let longest = models.iter().filter_map(|model| model.pipeline.scheduler.expected_wait()).max();
        response.headers_mut().insert(RETRY_AFTER, seconds(longest).into());
    }
    response
}

/// Whole seconds; a queue that is longer than the highest value has changed by then.
fn seconds(wait: Option<Duration>) -> u64 {
    const MAX_S: u64 = 300;
    let wait = wait.unwrap_or_default();
    (wait.as_millis().div_ceil(1_000) as u64).clamp(1, MAX_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (wait_ms, expected) in [(None, 1), (Some(0), 1), (Some(1_000), 1), (Some(1_001), 2), (Some(9_999_999), 300)]
        {
            assert_eq!(seconds(wait_ms.map(Duration::from_millis)), expected, "{wait_ms:?}");
        }
    }
}
