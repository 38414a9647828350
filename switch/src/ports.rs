//! RTP ports as numbers. The node hands one out for each leg before its SDP is written; the engine binds the socket.

use std::collections::VecDeque;

/// Free ports, longest free first, so that late packets of a finished call find nobody.
#[derive(Debug, Default)]
pub struct Ports {
    free: VecDeque<u16>,
    taken: usize,
}

impl Ports {
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Ports {
        Ports {
            free: ports.into_iter().collect(),
            taken: 0,
        }
    }
    /// `None` when all are in use: the call is answered 503, not queued.
    pub fn take(&mut self) -> Option<u16> {
        let port = self.free.pop_front()?;
        self.taken += 1;
        Some(port)
    }
    pub fn give_back(&mut self, port: u16) {
        debug_assert!(!self.free.contains(&port), "port {port} given back twice");
        self.taken -= 1;
        self.free.push_back(port);
    }
    pub fn taken(&self) -> usize {
        self.taken
    }
}
