//! Runs work that takes seconds on a separate thread: at low priority, so that it does not slow live traffic, or at that of
//! the process, where there is no traffic yet. Ends the process while such work may be under way.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

use tokio::sync::oneshot;

/// A thread that could not be started, or that panicked before it had an answer.
#[derive(Debug, thiserror::Error)]
pub enum BackgroundError {
    #[error("a thread cannot be started")]
    Start(#[from] std::io::Error),
    #[error("the thread panicked; the log says why")]
    Broken,
}

/// Runs `work` at low priority and returns its result. Threads that `work` starts have the same low priority.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BackgroundError> {
    let at_low_priority = || {
        lower_priority();
        work()
    };
    on_thread(at_low_priority).await
}

/// Runs `work` on a thread and returns its result.
pub async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BackgroundError> {
    let (send, receive) = oneshot::channel();
    let thread = std::thread::Builder::new().name("background".to_owned());
    thread.spawn(move || {
        // A caller that has gone needs no answer.
        let _ = send.send(work());
    })?;
    receive.await.map_err(|_| BackgroundError::Broken)
}

/// Ends the process at once. The usual way first runs the destructors of C++ libraries, and ONNX Runtime crashes where a thread
/// in the background still opens or runs a session.
pub fn end_process(code: u8) -> ! {
    // SAFETY: `_exit` takes no pointers and does not return.
    unsafe { libc::_exit(code.into()) }
}

/// Linux has priorities for threads. Elsewhere the thread keeps the priority of the process.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // Below the process, whatever its own priority is: a third of the share of a thread that answers. A load then takes
        // seconds on a busy machine; twice as much made it a tenth, and a load three times as long.
        const BELOW_LIVE: libc::c_int = 5;
        // SAFETY: `nice` takes no pointers; where it is refused, the priority stays what it was.
        unsafe {
            libc::nice(BELOW_LIVE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_comes_back_and_a_panic_is_an_error() {
        assert_eq!(run(|| 7).await.unwrap(), 7);
        assert!(matches!(run(|| panic!("as the test wants it")).await, Err::<(), _>(BackgroundError::Broken)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn work_stands_below_the_thread_that_asked_for_it() {
        const CALLING_THREAD: libc::id_t = 0;
        // SAFETY: `getpriority` takes no pointers.
        let niceness = || unsafe { libc::getpriority(libc::PRIO_PROCESS, CALLING_THREAD) };
        let own = niceness();
        let below = run(niceness).await.unwrap();
        // 19 is the lowest that there is.
        assert!(below > own || own == 19, "{below} is not below {own}");
        assert_eq!(niceness(), own, "the asking thread keeps its priority");
    }
}
