//! The node thread's letter box: bounded, and it wakes the thread that sleeps on its sockets.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mio::Waker;
use std::sync::Arc;
use switch::{Input, Node};

/// Letters that may wait. At ten thousand a second of events the node is seconds behind when it is full.
const BOUND: usize = 65_536;

pub(crate) enum Letter {
    Input(Input),
    /// A question about the node, answered on its thread.
    Ask(Box<dyn FnOnce(&Node) + Send>),
    Stop,
}

#[derive(Clone)]
pub(crate) struct Inbox {
    letters: Sender<Letter>,
    waker: Arc<Waker>,
}

impl Inbox {
    pub fn new(waker: Waker) -> (Inbox, Receiver<Letter>) {
        let (letters, receiver) = bounded(BOUND);
        (
            Inbox {
                letters,
                waker: Arc::new(waker),
            },
            receiver,
        )
    }

    /// Never waits; a full box gives the input back, for the sender to keep or to drop.
    pub fn offer(&self, input: Input) -> Result<(), Input> {
        match self.letters.try_send(Letter::Input(input)) {
            Ok(()) => {
                self.wake();
                Ok(())
            }
            Err(TrySendError::Full(Letter::Input(input))) => Err(input),
            // The node is gone: nobody is interested any more.
            Err(_) => Ok(()),
        }
    }

    /// Waits for room: for tasks whose input must arrive and that may be slow.
    pub fn deliver(&self, input: Input) {
        self.letters.send(Letter::Input(input)).ok();
        self.wake();
    }

    pub fn ask(&self, question: impl FnOnce(&Node) + Send + 'static) {
        self.letters.send(Letter::Ask(Box::new(question))).ok();
        self.wake();
    }

    pub fn stop(&self) {
        self.letters.send(Letter::Stop).ok();
        self.wake();
    }

    fn wake(&self) {
        self.waker.wake().ok();
    }
}
