//! What waits for a recogniser and what runs: order, bounds, deadlines. A value; the pool's threads share it behind a lock.
//!
//! Awaited requests go before speculative ones. Every request is answered once, or not at all when it was abandoned.

use crate::ear::Cut;
use crate::source::Stop;
use bots::Language;
use model::{LegId, Mono, RequestId};
use std::collections::VecDeque;
use std::time::Duration;

pub(crate) type Key = (LegId, RequestId);

#[derive(Debug)]
pub(crate) struct Job {
    pub key: Key,
    pub cut: Cut,
    pub language: Language,
    pub is_final: bool,
    pub asked: Mono,
    pub deadline: Mono,
}

/// A request that is answered without a recogniser's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unheard {
    pub key: Key,
    pub asked: Mono,
}

/// Counts up; a replaced worker's number is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerId(pub u64);

#[derive(Debug)]
struct Running {
    key: Key,
    worker: WorkerId,
    stop: Stop,
    asked: Mono,
    deadline: Mono,
    /// Abandoned, forgotten, or already answered as too slow.
    wanted: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    awaited: VecDeque<Job>,
    speculative: VecDeque<Job>,
    running: Vec<Running>,
    capacity: usize,
}

impl Queue {
    pub fn new(capacity: usize) -> Queue {
        Queue {
            awaited: VecDeque::new(),
            speculative: VecDeque::new(),
            running: Vec::new(),
            capacity: capacity.max(1),
        }
    }

    /// Takes a job in; gives back the one there is no room for: the oldest speculative one, else this one.
    pub fn push(&mut self, job: Job) -> Option<Unheard> {
        let mut out = None;
        if self.awaited.len() + self.speculative.len() >= self.capacity {
            match self.speculative.pop_front() {
                Some(oldest) => {
                    out = Some(Unheard {
                        key: oldest.key,
                        asked: oldest.asked,
                    })
                }
                None => {
                    return Some(Unheard {
                        key: job.key,
                        asked: job.asked,
                    });
                }
            }
        }
        if job.is_final {
            self.awaited.push_back(job);
        } else {
            self.speculative.push_back(job);
        }
        out
    }

    /// The next job, for a worker that can be told to stop.
    pub fn take(&mut self, worker: WorkerId, stop: &Stop) -> Option<Job> {
        let job = self
            .awaited
            .pop_front()
            .or_else(|| self.speculative.pop_front())?;
        stop.clear();
        self.running.push(Running {
            key: job.key,
            worker,
            stop: stop.clone(),
            asked: job.asked,
            deadline: job.deadline,
            wanted: true,
        });
        Some(job)
    }

    /// The worker is done with its job. True when somebody still waits for the result.
    pub fn finish(&mut self, worker: WorkerId) -> bool {
        match self
            .running
            .iter()
            .position(|running| running.worker == worker)
        {
            Some(index) => self.running.swap_remove(index).wanted,
            None => false,
        }
    }

    /// A speculative request is awaited from now on.
    pub fn promote(&mut self, key: Key) {
        if let Some(index) = self.speculative.iter().position(|job| job.key == key)
            && let Some(job) = self.speculative.remove(index)
        {
            self.awaited.push_back(Job {
                is_final: true,
                ..job
            });
        }
    }

    pub fn abandon(&mut self, key: Key) {
        self.withdraw(|other| other == key);
    }

    pub fn forget(&mut self, leg: LegId) {
        self.withdraw(|(other, _)| other == leg);
    }

    fn withdraw(&mut self, gone: impl Fn(Key) -> bool) {
        self.awaited.retain(|job| !gone(job.key));
        self.speculative.retain(|job| !gone(job.key));
        for running in self.running.iter_mut().filter(|running| gone(running.key)) {
            running.wanted = false;
            running.stop.set();
        }
    }

    /// Requests whose time is up, waiting or running; their workers are told to stop.
    pub fn expire(&mut self, now: Mono) -> Vec<Unheard> {
        let mut out = Vec::new();
        for waiting in [&mut self.awaited, &mut self.speculative] {
            waiting.retain(|job| {
                let late = job.deadline <= now;
                if late {
                    out.push(Unheard {
                        key: job.key,
                        asked: job.asked,
                    });
                }
                !late
            });
        }
        for running in self
            .running
            .iter_mut()
            .filter(|r| r.wanted && r.deadline <= now)
        {
            running.wanted = false;
            running.stop.set();
            out.push(Unheard {
                key: running.key,
                asked: running.asked,
            });
        }
        out
    }

    /// Workers that did not come back within `patience` of their job's deadline. Their threads are given up.
    pub fn lost(&mut self, now: Mono, patience: Duration) -> Vec<WorkerId> {
        let hung = |running: &Running| running.deadline + patience <= now;
        let lost = self
            .running
            .iter()
            .filter(|r| hung(r))
            .map(|r| r.worker)
            .collect();
        self.running.retain(|running| !hung(running));
        lost
    }

    /// When `expire` or `lost` has something to do next.
    pub fn next_deadline(&self, patience: Duration) -> Option<Mono> {
        let waiting = self
            .awaited
            .iter()
            .chain(&self.speculative)
            .map(|job| job.deadline);
        let running = self.running.iter().map(|r| {
            if r.wanted {
                r.deadline
            } else {
                r.deadline + patience
            }
        });
        waiting.chain(running).min()
    }

    pub fn waiting(&self) -> (usize, usize) {
        (self.awaited.len(), self.speculative.len())
    }
    pub fn running(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(leg: u64, request: u64, is_final: bool, at_ms: u64) -> Job {
        Job {
            key: (LegId(leg), RequestId(request)),
            cut: Cut {
                pcm: vec![0; 8000],
                from_ms: 0,
                voiced: Duration::from_millis(500),
            },
            language: Language::Zh,
            is_final,
            asked: Mono::from_millis(at_ms),
            deadline: Mono::from_millis(at_ms + 1500),
        }
    }
    fn request(job: Option<Job>) -> Option<u64> {
        job.map(|job| job.key.1.0)
    }
    fn at(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }
    const PATIENCE: Duration = Duration::from_secs(3);

    #[test]
    fn what_is_awaited_goes_before_what_is_guessed() {
        let mut queue = Queue::new(8);
        for (n, is_final) in [(1, false), (2, false), (3, true), (4, true)] {
            assert_eq!(queue.push(job(n, n, is_final, 0)), None);
        }
        queue.promote((LegId(2), RequestId(2)));
        let order: Vec<_> = (0..5)
            .map(|n| request(queue.take(WorkerId(n), &Stop::default())))
            .collect();
        assert_eq!(order, [Some(3), Some(4), Some(2), Some(1), None]);
    }

    #[test]
    fn a_full_queue_drops_the_oldest_guess_and_never_something_awaited() {
        let mut queue = Queue::new(2);
        assert_eq!(queue.push(job(1, 1, false, 0)), None);
        assert_eq!(queue.push(job(2, 2, true, 0)), None);
        assert_eq!(queue.push(job(3, 3, true, 5)).unwrap().key.1, RequestId(1));
        assert_eq!(queue.push(job(4, 4, true, 6)).unwrap().key.1, RequestId(4));
        assert_eq!(queue.waiting(), (2, 0));
    }

    #[test]
    fn an_abandoned_request_is_not_run_and_a_running_one_is_told_to_stop() {
        let mut queue = Queue::new(8);
        let stop = Stop::default();
        queue.push(job(1, 1, false, 0));
        queue.push(job(1, 2, false, 0));
        assert_eq!(request(queue.take(WorkerId(1), &stop)), Some(1));
        queue.forget(LegId(1));
        assert!(stop.wanted());
        assert_eq!(request(queue.take(WorkerId(2), &Stop::default())), None);
        assert!(!queue.finish(WorkerId(1)), "nobody waits for it");
        assert_eq!(queue.next_deadline(PATIENCE), None);
    }

    #[test]
    fn every_request_is_answered_by_its_deadline_and_a_hung_worker_is_given_up() {
        let mut queue = Queue::new(8);
        let stop = Stop::default();
        queue.push(job(1, 1, true, 0));
        queue.push(job(2, 2, true, 100));
        queue.take(WorkerId(1), &stop);
        assert_eq!(queue.next_deadline(PATIENCE), Some(at(1500)));
        assert_eq!(queue.expire(at(1499)), []);
        let late = |leg, asked| Unheard {
            key: (LegId(leg), RequestId(leg)),
            asked: at(asked),
        };
        assert_eq!(queue.expire(at(1500)), [late(1, 0)]);
        assert!(stop.wanted());
        assert_eq!(queue.expire(at(1600)), [late(2, 100)]);
        assert_eq!(queue.expire(at(9000)), [], "answered once");
        assert_eq!(queue.next_deadline(PATIENCE), Some(at(4500)));
        assert_eq!(queue.lost(at(4499), PATIENCE), []);
        assert_eq!(queue.lost(at(4500), PATIENCE), [WorkerId(1)]);
        assert!(!queue.finish(WorkerId(1)));
    }
}
