//! The body of `POST /v1/classify`: unpacked, parsed, checked, and the text and id of each document.
//!
//! The first byte says how the body is packed; the rest is the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ressort::classify::request::RequestLimits;
use ressort::http::fuzz::read_request;

/// Messages quote at most some words of a request.
const MAX_MESSAGE_BYTES: usize = 4_000;

fuzz_target!(|input: &[u8]| {
    let Some((coding, body)) = input.split_first() else { return };
    let coding = [None, None, None, None, None, None, Some("gzip"), Some("zstd")][usize::from(coding % 8)];
    let limits =
        RequestLimits { max_characters: 200, max_documents: 20, max_body_bytes: 100_000, ..RequestLimits::default() };
    let documents = match read_request(body, coding, &limits) {
        Ok(documents) => documents,
        Err(problem) => {
            assert!((1..MAX_MESSAGE_BYTES).contains(&problem.detail.len()), "{}", problem.detail);
            return;
        }
    };
    assert!(documents.len() <= limits.max_documents);
    for (_, text) in documents {
        match text {
            Ok(text) => {
                assert!(text.n_characters() <= limits.max_characters);
                assert!(!text.as_str().contains('\0'));
            }
            Err(problem) => assert!((1..MAX_MESSAGE_BYTES).contains(&problem.detail.len()), "{}", problem.detail),
        }
    }
});
