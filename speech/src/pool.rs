//! The worker threads. Each takes the next job, recognises, judges, answers. A watch thread answers what is late and
//! replaces workers that hang; a panic costs a worker its recogniser, not its thread.

use crate::clock;
use crate::ear::Cut;
use crate::queue::{Job, Key, Queue, Unheard, WorkerId};
use crate::source::{Source, Stop};
use crate::speech::{Config, Load, Sink, SpeechEvent};
use bots::{AudioFacts, Language, NotHeard, Recogniser, RecogniserError, distrust};
use model::{LegId, Mono};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tracing::{debug, error, warn};

/// Threads that may be given up at the same time; a process of hung threads helps nobody.
const MOST_LOST: usize = 16;
/// Answers whose latency is remembered.
const REMEMBERED: usize = 256;

pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    source: Arc<dyn Source>,
    sink: Sink,
    deadline: Duration,
    patience: Duration,
    state: Mutex<State>,
    /// A job has come, or the pool closes.
    ready: Condvar,
    /// A deadline may have changed, or the pool closes.
    watch: Condvar,
}

struct State {
    queue: Queue,
    closed: bool,
    next_worker: u64,
    lost: Vec<WorkerId>,
    workers: usize,
    counts: Load,
    latencies: VecDeque<Duration>,
}

impl Pool {
    pub fn start(source: Arc<dyn Source>, config: &Config, sink: Sink) -> Pool {
        let shared = Arc::new(Shared {
            source,
            sink,
            deadline: config.deadline,
            patience: config.patience,
            state: Mutex::new(State {
                queue: Queue::new(config.queue),
                closed: false,
                next_worker: 0,
                lost: Vec::new(),
                workers: 0,
                counts: Load::default(),
                latencies: VecDeque::new(),
            }),
            ready: Condvar::new(),
            watch: Condvar::new(),
        });
        for _ in 0..config.workers.max(1) {
            shared.clone().hire();
        }
        let watch = shared.clone();
        if let Err(error) = thread::Builder::new()
            .name("speech-watch".into())
            .spawn(move || watch.watch())
        {
            error!(%error, "no thread for the recognisers' deadlines");
        }
        Pool { shared }
    }

    pub fn push(&self, key: Key, cut: Cut, language: Language, is_final: bool, asked: Mono) {
        let deadline = asked + self.shared.deadline;
        let refused = {
            let mut state = self.shared.lock();
            let refused = state.queue.push(Job {
                key,
                cut,
                language,
                is_final,
                asked,
                deadline,
            });
            state.counts.refused += u64::from(refused.is_some());
            refused
        };
        self.shared.ready.notify_one();
        self.shared.watch.notify_one();
        if let Some(unheard) = refused {
            self.shared
                .answer(unheard, Err(NotHeard::Failed(RecogniserError::Overloaded)));
        }
    }
    /// Answers a request that never needed a recogniser.
    pub fn answer(&self, key: Key, asked: Mono, result: Result<String, NotHeard>) {
        self.shared.answer(Unheard { key, asked }, result);
    }
    pub fn promote(&self, key: Key) {
        self.shared.lock().queue.promote(key);
    }
    pub fn abandon(&self, key: Key) {
        self.shared.lock().queue.abandon(key);
    }
    pub fn forget(&self, leg: LegId) {
        self.shared.lock().queue.forget(leg);
    }

    pub fn load(&self) -> Load {
        let state = self.shared.lock();
        let mut sorted: Vec<_> = state.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or_default()
        };
        let (waiting_final, waiting_speculative) = state.queue.waiting();
        Load {
            recogniser: self.shared.source.name().to_owned(),
            workers: state.workers,
            running: state.queue.running(),
            waiting_final,
            waiting_speculative,
            p50: rank(50),
            p95: rank(95),
            ..state.counts.clone()
        }
    }
}

impl Drop for Pool {
    /// Threads are told to leave and not waited for: one may hang in foreign code.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.ready.notify_all();
        self.shared.watch.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock; were it so, the counts may be off and the queue still stands.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, to: Unheard, result: Result<String, NotHeard>) {
        let took = clock::now().since(to.asked);
        {
            let mut state = self.lock();
            match &result {
                Ok(_) => state.counts.recognised += 1,
                Err(NotHeard::Discarded(_)) => state.counts.discarded += 1,
                Err(NotHeard::Failed(RecogniserError::TimedOut)) => state.counts.too_slow += 1,
                Err(NotHeard::Failed(RecogniserError::Overloaded)) => {}
                Err(NotHeard::Failed(_)) => state.counts.failed += 1,
            }
            if state.latencies.len() == REMEMBERED {
                state.latencies.pop_front();
            }
            state.latencies.push_back(took);
        }
        let (leg, request) = to.key;
        (self.sink)(SpeechEvent::Recognised {
            leg,
            request,
            result,
            took,
        });
    }

    fn hire(self: Arc<Self>) {
        let id = {
            let mut state = self.lock();
            state.next_worker += 1;
            state.workers += 1;
            WorkerId(state.next_worker)
        };
        let worker = self.clone();
        let name = format!("speech-{}", id.0);
        if let Err(error) = thread::Builder::new()
            .name(name)
            .spawn(move || worker.work(id))
        {
            self.lock().workers -= 1;
            error!(%error, "no thread for a recogniser");
        }
    }

    fn work(&self, id: WorkerId) {
        clock::be_nice(10);
        let stop = Stop::default();
        let mut recogniser = self.recogniser(&stop);
        while let Some(job) = self.next(id, &stop) {
            if recogniser.is_err() {
                recogniser = self.recogniser(&stop);
            }
            let result = match &recogniser {
                Ok(ready) => {
                    let attempt = AssertUnwindSafe(|| hear(ready.as_ref(), &job));
                    catch_unwind(attempt).unwrap_or_else(|_| {
                        recogniser = Err(RecogniserError::Engine("panicked".into()));
                        self.lock().counts.workers_replaced += 1;
                        Err(NotHeard::Failed(RecogniserError::Engine("panicked".into())))
                    })
                }
                Err(error) => Err(NotHeard::Failed(error.clone())),
            };
            let (wanted, given_up) = {
                let mut state = self.lock();
                let wanted = state.queue.finish(id);
                let before = state.lost.len();
                state.lost.retain(|lost| *lost != id);
                (wanted, state.lost.len() < before)
            };
            if wanted {
                self.answer(
                    Unheard {
                        key: job.key,
                        asked: job.asked,
                    },
                    result,
                );
            } else {
                debug!(?job.key, "nobody waits for this text any more");
            }
            if given_up {
                return;
            }
        }
    }

    /// Making one may panic like using one.
    fn recogniser(&self, stop: &Stop) -> Result<Box<dyn Recogniser>, RecogniserError> {
        catch_unwind(AssertUnwindSafe(|| self.source.worker(stop.clone())))
            .unwrap_or_else(|_| Err(RecogniserError::Engine("panicked at start".into())))
            .inspect_err(|error| error!(%error, "no recogniser for a worker"))
    }

    fn next(&self, id: WorkerId, stop: &Stop) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.queue.take(id, stop) {
                return Some(job);
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn watch(self: Arc<Self>) {
        loop {
            let now = clock::now();
            let mut state = self.lock();
            if state.closed {
                return;
            }
            let late = state.queue.expire(now);
            let lost = state.queue.lost(now, self.patience);
            for worker in &lost {
                state.workers -= 1;
                state.lost.push(*worker);
            }
            let replace = MOST_LOST
                .saturating_sub(state.lost.len() - lost.len())
                .min(lost.len());
            state.counts.workers_replaced += replace as u64;
            if late.is_empty() && lost.is_empty() {
                let due = state.queue.next_deadline(self.patience);
                let pause = due.map_or(Duration::from_secs(60), |at| at.since(now));
                drop(
                    self.watch
                        .wait_timeout(state, pause.max(Duration::from_millis(1))),
                );
                continue;
            }
            drop(state);
            for unheard in late {
                self.answer(unheard, Err(NotHeard::Failed(RecogniserError::TimedOut)));
            }
            for worker in &lost {
                warn!(
                    worker = worker.0,
                    "a recogniser hangs; its thread is given up"
                );
            }
            for _ in 0..replace {
                self.clone().hire();
            }
        }
    }
}

/// Recognises and lets through what was plausibly said.
fn hear(recogniser: &dyn Recogniser, job: &Job) -> Result<String, NotHeard> {
    let heard = recogniser
        .recognise(&job.cut.pcm, job.language)
        .map_err(NotHeard::Failed)?;
    let facts = AudioFacts {
        language: job.language,
        duration: job.cut.duration(),
        voiced: job.cut.voiced,
    };
    let text = distrust::judge(&heard, &facts).map_err(NotHeard::Discarded)?;
    Ok(text.0)
}
