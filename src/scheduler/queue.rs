//! The waiting windows: two lanes, in each of which requests take turns window by window, so that a request of a thousand
//! documents holds up none of one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{RequestId, ScheduleError};
use crate::batch::{BatchLimits, WindowLogits, select};
use crate::task::Priority;
use crate::tokenize::Window;

#[derive(Default)]
pub struct Queue {
    normal: Lane,
    /// Served while the other lane is empty.
    bulk: Lane,
    /// Set when the scheduler is dropped: workers finish what waits, and stop.
    pub closed: bool,
}

/// A window that waits for its run.
pub struct Job {
    pub window: Window,
    pub deadline: Instant,
    /// Closed by a caller that has gone.
    pub reply: oneshot::Sender<Result<WindowLogits, ScheduleError>>,
    /// The document's places in the queue, given back when its last window is answered.
    pub _places: Arc<OwnedSemaphorePermit>,
}

/// Requests in the order of their turns, each with its windows in order; none is empty.
#[derive(Default)]
struct Lane {
    requests: VecDeque<(RequestId, VecDeque<Job>)>,
}

impl Queue {
    pub fn push(&mut self, priority: Priority, request: RequestId, jobs: Vec<Job>) {
        self.lane(priority).push(request, jobs);
    }

    pub fn n_waiting(&self) -> usize {
        self.normal.n_waiting() + self.bulk.n_waiting()
    }

    pub fn clear(&mut self) {
        (self.normal, self.bulk) = (Lane::default(), Lane::default());
    }

    /// Drops windows that nobody waits for, and those that are too late.
    pub fn drop_lost(&mut self, now: Instant) {
        self.normal.drop_lost(now);
        self.bulk.drop_lost(now);
    }

    /// The windows that run next, together; none when none wait.
    pub fn take(&mut self, limits: BatchLimits) -> Vec<Job> {
        let lane = if self.normal.requests.is_empty() { &mut self.bulk } else { &mut self.normal };
        lane.take(limits)
    }

    fn lane(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::Normal => &mut self.normal,
            Priority::Bulk => &mut self.bulk,
        }
    }
}

impl Lane {
    fn push(&mut self, request: RequestId, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        match self.requests.iter_mut().find(|(known, _)| *known == request) {
            Some((_, waiting)) => waiting.extend(jobs),
            None => self.requests.push_back((request, jobs.into())),
        }
    }

    fn n_waiting(&self) -> usize {
        self.requests.iter().map(|(_, jobs)| jobs.len()).sum()
    }

    fn drop_lost(&mut self, now: Instant) {
        for (_, jobs) in &mut self.requests {
            jobs.retain(|job| !job.reply.is_closed() && job.deadline > now);
        }
        self.requests.retain(|(_, jobs)| !jobs.is_empty());
    }

    /// The first window of the request whose turn it is, which then goes to the end of the line, and those that fit to it.
    fn take(&mut self, limits: BatchLimits) -> Vec<Job> {
        let Some((request, mut jobs)) = self.requests.pop_front() else { return Vec::new() };
        let Some(first) = jobs.pop_front() else { return Vec::new() };
        if !jobs.is_empty() {
            self.requests.push_back((request, jobs));
        }
        let mut taken = vec![first];
        if limits.max_windows > 1 {
            self.take_companions(&mut taken, limits);
        }
        taken
    }

    fn take_companions(&mut self, taken: &mut Vec<Job>, limits: BatchLimits) {
        /// How many waiting windows are looked at.
        const LOOK_AHEAD: usize = 256;
        let waiting =
            self.requests.iter().enumerate().flat_map(|(at, (_, jobs))| (0..jobs.len()).map(move |job| (at, job)));
        let places: Vec<(usize, usize)> = waiting.take(LOOK_AHEAD).collect();
        let lengths = places.iter().map(|&(request, job)| self.requests[request].1[job].window.len());
        let chosen = select(taken.iter().map(|job| job.window.len()).chain(lengths), limits);
        // From the back, so that the places before stay what they are.
        for &index in chosen.iter().skip(taken.len()).rev() {
            let (request, job) = places[index - 1];
            taken.extend(self.requests[request].1.remove(job));
        }
        self.requests.retain(|(_, jobs)| !jobs.is_empty());
    }
}
