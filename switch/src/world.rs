//! What every call of a node shares: the SIP endpoint, the directory, ports, chance, and the buffer effects go to.

use crate::directory::Directory;
use crate::effect::{Effect, MediaCommand, Notice, Persist};
use crate::lines::LinesInUse;
use crate::node::Config;
use crate::ports::Ports;
use crate::tone;
use media::sdp::LocalParams;
use model::*;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;
use sip::InviteId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) struct World {
    pub now: Now,
    pub config: Config,
    pub sip: sip::Endpoint,
    pub directory: Directory,
    pub effects: Vec<Effect>,
    /// Calls that are answered and not over.
    pub talking: usize,
    /// Calls at once, over campaigns, tenants and trunks.
    pub lines: LinesInUse,
    /// Played to both parties before a reservation is used up.
    pub beeps: Arc<media::Prompt>,
    chance: ChaCha12Rng,
    ports: Ports,
    last_leg: u64,
    /// Which leg a dialog belongs to, while its call lives.
    pub invites: HashMap<InviteId, LegId>,
    /// Which call a leg belongs to, while its call lives.
    pub legs: HashMap<LegId, CallId>,
    /// Open sockets. They outlive the call until the worker says closed.
    media: HashMap<LegId, u16>,
}

/// A leg's media side as the node knows it.
#[derive(Debug)]
pub(crate) struct OpenedMedia {
    pub leg: LegId,
    pub params: LocalParams,
}

impl World {
    pub fn new(config: Config, seed: [u8; 32]) -> World {
        let mut chance = ChaCha12Rng::from_seed(seed);
        let mut sip_seed = [0; 32];
        chance.fill_bytes(&mut sip_seed);
        World {
            now: Now::default(),
            sip: sip::Endpoint::new(config.sip.clone(), sip_seed),
            directory: Directory::default(),
            effects: Vec::new(),
            talking: 0,
            lines: LinesInUse::default(),
            beeps: Arc::new(tone::beeps()),
            chance,
            ports: Ports::new(config.rtp_ports.iter().copied()),
            config,
            last_leg: 0,
            invites: HashMap::new(),
            legs: HashMap::new(),
            media: HashMap::new(),
        }
    }

    /// Takes a port and opens a leg's media on a worker; `None` when no port is free.
    pub fn open_media(&mut self, call: CallId, worker: u16) -> Option<OpenedMedia> {
        let port = self.ports.take()?;
        self.last_leg += 1;
        let leg = LegId(self.last_leg);
        self.legs.insert(leg, call);
        self.media.insert(leg, port);
        let (ssrc, start) = (self.chance.next_u32(), self.chance.next_u64());
        // RFC 3550 §5.1: sequence and timestamp start at random values.
        let (sequence, timestamp) = (start as u16, (start >> 16) as u32);
        let command = MediaCommand::Open {
            leg,
            port,
            ssrc,
            sequence,
            timestamp,
        };
        self.effects.push(Effect::Media { worker, command });
        // A session id below 2^62 fits every implementation's number.
        let session = self.chance.next_u64() >> 2;
        let params = LocalParams::new(SocketAddr::new(self.config.media_address, port), session);
        Some(OpenedMedia { leg, params })
    }

    /// The worker let go of the leg's socket.
    pub fn media_closed(&mut self, leg: LegId) {
        if let Some(port) = self.media.remove(&leg) {
            self.ports.give_back(port);
        }
    }

    pub fn open_ports(&self) -> usize {
        self.ports.taken()
    }

    pub fn media(&mut self, worker: u16, command: media::Command) {
        self.effects.push(Effect::Media {
            worker,
            command: MediaCommand::Plain(command),
        });
    }

    pub fn persist(&mut self, change: Persist) {
        self.effects.push(Effect::Persist(change));
    }

    pub fn notify(&mut self, tenant: TenantId, kind: &'static str, data: Value) {
        let occurred_at = self.now.wall;
        self.effects.push(Effect::Notify(Notice {
            tenant,
            kind,
            occurred_at,
            data,
        }));
    }
}

impl Minter for World {
    fn entropy(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.chance.fill_bytes(&mut bytes);
        bytes
    }
}
