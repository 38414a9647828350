//! How much of everything there is just now.

use super::Node;
use model::Direction;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that are up or being set up.
    pub calls: Vec<(Direction, usize)>,
    /// Of them, answered.
    pub talking: usize,
    /// Devices with a binding.
    pub registered: usize,
    /// RTP ports in use.
    pub ports: usize,
}

impl Node {
    pub fn figures(&self) -> Figures {
        use Direction::{Inbound, Internal, Outbound, Robot};
        let live = || self.calls.values().filter(|call| call.core.end.is_none());
        let of = |direction| {
            live()
                .filter(|call| call.core.parties.direction == direction)
                .count()
        };
        Figures {
            calls: [Robot, Internal, Outbound, Inbound]
                .map(|d| (d, of(d)))
                .to_vec(),
            talking: live().filter(|call| call.core.answered.is_some()).count(),
            registered: self.world.sip.devices(),
            ports: self.world.open_ports(),
        }
    }
}
