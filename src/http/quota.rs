//! How much of its limits a key has used, and the header fields that say it.
//!
//! A limit holds for a fixed window of time, which begins with the first use after the end of the one before. The fields are those of
//! draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` has quota (`q`) and seconds (`w`) of each limit, `RateLimit` what is left
//! (`r`) and the seconds until the window ends (`t`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::error::{Code, Problem};
use crate::system::counted::counted;

pub static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How much a key may be used; `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyLimits {
    pub requests_per_minute: Option<u64>,
    pub requests_per_day: Option<u64>,
    pub documents_per_day: Option<u64>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Requests,
    Documents,
}

/// A limit and its current window.
#[derive(Debug, Clone)]
struct Window {
    /// The name of the limit in the configuration.
    name: &'static str,
    unit: Unit,
    max: u64,
    length: Duration,
    n_used: u64,
    /// `None` until the first use.
    started: Option<Instant>,
}

/// The limits of one key and what is used of them.
#[derive(Debug)]
pub struct Quota(Mutex<Vec<Window>>);

impl Quota {
    pub fn new(limits: KeyLimits) -> Self {
        let windows = [
            ("requests_per_minute", Unit::Requests, limits.requests_per_minute, MINUTE),
            ("requests_per_day", Unit::Requests, limits.requests_per_day, DAY),
            ("documents_per_day", Unit::Documents, limits.documents_per_day, DAY),
        ];
        let window =
            |(name, unit, max, length)| Some(Window { name, unit, max: max?, length, n_used: 0, started: None });
        Self(Mutex::new(windows.into_iter().filter_map(window).collect()))
    }

    /// Changes the limits, and keeps what is used.
    pub fn set_limits(&self, limits: KeyLimits) {
        let mut new = Self::new(limits).0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut windows = self.lock();
        for window in &mut new {
            if let Some(known) = windows.iter().find(|known| known.name == window.name) {
                (window.n_used, window.started) = (known.n_used, known.started);
            }
        }
        *windows = new;
    }

    /// Counts a request, or refuses it.
    pub fn take_request(&self) -> Result<(), Problem> {
        self.take(Unit::Requests, 1, Instant::now())
    }

    /// Counts the documents of a request, or refuses all of them.
    pub fn take_documents(&self, n: usize) -> Result<(), Problem> {
        self.take(Unit::Documents, n as u64, Instant::now())
    }

    fn take(&self, unit: Unit, n: u64, now: Instant) -> Result<(), Problem> {
        let mut windows = self.lock();
        windows.iter_mut().for_each(|window| window.roll(now));
        let full = windows.iter().filter(|window| window.unit == unit && window.n_left() < n);
        if let Some(last) = full.max_by_key(|window| window.seconds_left(now)) {
            return Err(last.refusal(n, now));
        }
        for window in windows.iter_mut().filter(|window| window.unit == unit) {
            window.started.get_or_insert(now);
            window.n_used += n;
        }
        Ok(())
    }

    /// Says in an answer what is left.
    pub fn write(&self, headers: &mut HeaderMap) {
        self.write_at(headers, Instant::now());
    }

    fn write_at(&self, headers: &mut HeaderMap, now: Instant) {
        let mut windows = self.lock();
        if windows.is_empty() {
            return;
        }
        windows.iter_mut().for_each(|window| window.roll(now));
        let list = |item: fn(&Window, Instant) -> String| {
            let items: Vec<String> = windows.iter().map(|window| item(window, now)).collect();
            HeaderValue::from_str(&items.join(", "))
        };
        // Names and numbers are visible ASCII.
        if let (Ok(policy), Ok(left)) = (list(Window::policy), list(Window::left)) {
            headers.insert(RATE_LIMIT_POLICY.clone(), policy);
            headers.insert(RATE_LIMIT.clone(), left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Ends a window whose time is over.
    fn roll(&mut self, now: Instant) {
        if self.started.is_some_and(|started| now.saturating_duration_since(started) >= self.length) {
            (self.n_used, self.started) = (0, None);
        }
    }

    fn n_left(&self) -> u64 {
        self.max.saturating_sub(self.n_used)
    }

    /// Whole seconds, rounded up.
    fn seconds_left(&self, now: Instant) -> u64 {
        let end = self.started.unwrap_or(now) + self.length;
        end.saturating_duration_since(now).as_millis().div_ceil(1_000) as u64
    }

    fn policy(&self, _now: Instant) -> String {
        let unit = if self.unit == Unit::Documents { ";qu=\"documents\"" } else { "" };
        format!("\"{}\";q={};w={}{unit}", self.name, self.max, self.length.as_secs())
    }

    fn left(&self, now: Instant) -> String {
        format!("\"{}\";r={};t={}", self.name, self.n_left(), self.seconds_left(now))
    }

    fn refusal(&self, n: u64, now: Instant) -> Problem {
        let (name, max, seconds) = (self.name, self.max, self.seconds_left(now));
        let code = if self.length == MINUTE { Code::RateLimited } else { Code::QuotaExceeded };
        let detail = match n {
            n if n > max => {
                let documents = counted(n, "document");
                format!("the request has {documents}, and {name} of the key is {max}; send fewer at once")
            }
            n if n > 1 => format!(
                "the request has {n} documents, and {} of the {max} of {name} are left; send fewer, or try again in {seconds} s",
                self.n_left()
            ),
            _ => format!("{name} of the key is {max}, and used up; try again in {seconds} s"),
        };
        Problem { retry_after_s: Some(seconds.max(1)), ..Problem::new(code, detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: KeyLimits =
        KeyLimits { requests_per_minute: Some(2), requests_per_day: Some(3), documents_per_day: Some(10) };

    fn headers(quota: &Quota, now: Instant) -> [Option<String>; 2] {
        let mut headers = HeaderMap::new();
        quota.write_at(&mut headers, now);
        ["ratelimit-policy", "ratelimit"].map(|name| headers.get(name).map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_limit_holds_for_its_window_and_the_fields_say_what_is_left() {
        let (quota, start) = (Quota::new(LIMITS), Instant::now());
        let take = |seconds| {
            let taken = quota.take(Unit::Requests, 1, start + Duration::from_secs(seconds));
            taken.map_err(|problem| (problem.code, problem.retry_after_s))
        };
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(59), Ok(()));
        let now = start + Duration::from_millis(59_200);
        let [policy, left] = headers(&quota, now);
        assert_eq!(
            policy.unwrap(),
            "\"requests_per_minute\";q=2;w=60, \"requests_per_day\";q=3;w=86400, \"documents_per_day\";q=10;w=86400;qu=\"documents\""
        );
        assert_eq!(
            left.unwrap(),
            "\"requests_per_minute\";r=0;t=1, \"requests_per_day\";r=1;t=86341, \"documents_per_day\";r=10;t=86400"
        );
        assert_eq!(take(59), Err((Code::RateLimited, Some(1))));
        assert_eq!(take(60), Ok(()), "a new minute");
        assert_eq!(take(61), Err((Code::QuotaExceeded, Some(86_339))), "the day has three");
        assert_eq!(take(86_400), Ok(()));
    }

    #[test]
    fn other_limits_keep_what_is_used() {
        let (quota, now) = (Quota::new(LIMITS), Instant::now());
        quota.take(Unit::Requests, 2, now).unwrap();
        quota.set_limits(KeyLimits { requests_per_minute: Some(3), ..LIMITS });
        assert_eq!(quota.take(Unit::Requests, 1, now), Ok(()));
        assert!(quota.take(Unit::Requests, 1, now).is_err());
        quota.set_limits(KeyLimits::default());
        assert_eq!(quota.take(Unit::Requests, 100, now), Ok(()));
    }

    #[test]
    fn documents_are_refused_together_and_a_refusal_uses_nothing() {
        let (quota, now) = (Quota::new(LIMITS), Instant::now());
        let take = |n| {
            let taken = quota.take(Unit::Documents, n, now);
            taken.map_err(|problem| (problem.code, problem.detail, problem.retry_after_s))
        };
        assert_eq!(take(4), Ok(()));
        // The minute is used up as well, and has nothing to do with the documents.
        (0..2).for_each(|_| quota.take(Unit::Requests, 1, now).unwrap());
        let (code, detail, retry_after_s) = take(7).unwrap_err();
        assert_eq!((code, retry_after_s), (Code::QuotaExceeded, Some(86_400)));
        assert_eq!(
            detail,
            "the request has 7 documents, and 6 of the 10 of documents_per_day are left; send fewer, or try again in 86400 s"
        );
        assert!(take(11).unwrap_err().1.contains("documents_per_day of the key is 10; send fewer"));
        assert_eq!(take(6), Ok(()));
        assert!(take(1).unwrap_err().1.starts_with("documents_per_day of the key is 10, and used up"));
        assert_eq!(headers(&Quota::new(KeyLimits::default()), now), [None, None]);
    }
}
