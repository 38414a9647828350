//! The call centre as one value: inputs and time in, effects and the next deadline out.

mod admission;
mod figures;
mod presence;

pub use figures::Figures;

use crate::app::App;
use crate::call::{Call, CallInput, Gone, LegInput};
use crate::campaigns::{Campaigns, Standing};
use crate::effect::{Effect, Input, Persist};
use crate::world::World;
use model::*;
use serde_json::json;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How often the journal hears that calls are up.
const BEAT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct Config {
    pub sip: sip::Config,
    /// What stands in our SDP.
    pub media_address: IpAddr,
    /// Even ports for RTP. What runs out is refused with 503.
    pub rtp_ports: Vec<u16>,
    /// Media workers; a call's legs all live on one.
    pub workers: u16,
}

/// A call as lists show it while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCall {
    pub id: CallId,
    pub direction: Direction,
    pub caller: String,
    pub callee: String,
    pub campaign: Option<CampaignId>,
    pub lead: Option<LeadId>,
    pub started_at: Wall,
    pub answered_at: Option<Wall>,
}

pub struct Node {
    world: World,
    calls: HashMap<CallId, Call>,
    campaigns: Campaigns,
    /// When the journal is told that calls are up: while any is.
    next_beat: Option<Mono>,
    /// When a call wants to be looked at; entries of calls that moved on are skipped.
    deadlines: BinaryHeap<Reverse<(Mono, CallId)>>,
    next_worker: u16,
    draining: bool,
}

impl Node {
    /// All chance comes from `seed`: the same seed and inputs give the same effects.
    pub fn new(config: Config, seed: [u8; 32]) -> Node {
        Node {
            world: World::new(config, seed),
            calls: HashMap::new(),
            campaigns: Campaigns::default(),
            next_beat: None,
            deadlines: BinaryHeap::new(),
            next_worker: 0,
            draining: false,
        }
    }

    /// Takes one input and appends what is to be done about it, in order.
    pub fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        self.world.now = now;
        self.take(input);
        self.settle();
        self.run_deadlines();
        self.beat();
        effects.append(&mut self.world.effects);
    }

    /// When `Input::Deadline` is due, if nothing else comes before.
    pub fn next_deadline(&self) -> Option<Mono> {
        let calls = self.deadlines.peek().map(|Reverse((at, _))| *at);
        let campaigns = match self.draining {
            true => None,
            false => self.campaigns.next_deadline(),
        };
        [
            self.world.sip.next_deadline(),
            calls,
            campaigns,
            self.next_beat,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Calls that are not finished, including those waiting for their media to close.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// No call, dialog, transaction, leg, port or line in use.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.world.sip.is_idle()
            && self.world.legs.is_empty()
            && self.world.invites.is_empty()
            && self.world.open_ports() == 0
            && self.world.lines.is_empty()
    }

    pub fn live_calls(&self, tenant: TenantId) -> Vec<LiveCall> {
        let of_tenant = |call: &&Call| call.core.tenant.tenant == tenant && call.core.end.is_none();
        let mut calls: Vec<LiveCall> = self
            .calls
            .values()
            .filter(of_tenant)
            .map(|call| {
                let core = &call.core;
                LiveCall {
                    id: core.id,
                    direction: core.parties.direction,
                    caller: core.parties.caller.clone(),
                    callee: core.parties.callee.clone(),
                    campaign: core.parties.campaign,
                    lead: core.parties.lead,
                    started_at: core.started.wall,
                    answered_at: core.answered.map(|at| at.wall),
                }
            })
            .collect();
        calls.sort_by_key(|call| (call.started_at, call.id));
        calls
    }

    /// How a tenant's campaign stands; `None` when it is not running here.
    pub fn standing(&self, tenant: TenantId, campaign: CampaignId) -> Option<Standing> {
        self.campaigns.standing(&self.world, tenant, campaign)
    }

    /// Current bindings of a tenant's devices.
    pub fn registrations(&self, tenant: TenantId) -> Vec<sip::Binding> {
        let Some(directory) = self.world.directory.tenant(tenant) else {
            return Vec::new();
        };
        let extensions = directory
            .extensions
            .iter()
            .map(|extension| &extension.account);
        let trunks = directory.trunks.iter().map(|trunk| &trunk.account);
        extensions
            .chain(trunks)
            .flat_map(|account| self.world.sip.bindings(&account.aor, self.world.now))
            .cloned()
            .collect()
    }

    fn take(&mut self, input: Input) {
        let now = self.world.now;
        match input {
            Input::Datagram { flow, bytes } => {
                self.world
                    .sip
                    .receive(now, flow, &bytes, &self.world.directory);
            }
            Input::TransportFailed(flow) => self.world.sip.transport_failed(now, flow),
            Input::Deadline => {}
            Input::Directory(directory) => self.directory(directory),
            Input::Restore(bindings) => self.world.sip.restore(now, bindings),
            Input::Campaign(plan) => self.campaigns.put(&mut self.world, plan),
            Input::Claimed { campaign, result } => {
                let calls = self.campaigns.claimed(
                    &mut self.world,
                    campaign,
                    result,
                    self.draining,
                    &mut self.next_worker,
                );
                for call in calls {
                    self.insert(call);
                }
            }
            Input::Begun { call, result } => {
                let withdrawn = self.withdrawn(call);
                self.call(call, CallInput::Begun { result, withdrawn });
            }
            Input::Media(event) => self.media(event),
            Input::MediaFailed { leg } => self.closed(leg, None),
            Input::Heard { leg, heard } => self.leg(leg, LegInput::Heard(heard)),
            Input::Note { call, kind, data } => self.call(call, CallInput::Note { kind, data }),
            Input::HangUp {
                tenant,
                call,
                actor,
            } => {
                let theirs = |found: &Call| found.core.tenant.tenant == tenant;
                if self.calls.get(&call).is_some_and(theirs) {
                    self.call(call, CallInput::HangUp { actor });
                }
            }
            Input::Drain => self.draining = true,
            Input::HangUpAll => {
                self.draining = true;
                let mut all: Vec<CallId> = self.calls.keys().copied().collect();
                all.sort();
                for call in all {
                    self.call(call, CallInput::Stop);
                }
            }
        }
    }

    /// Why a call that the store has just begun must not be dialled any more.
    fn withdrawn(&self, call: CallId) -> Option<&'static str> {
        let core = &self.calls.get(&call)?.core;
        let tenant = self.world.directory.tenant(core.tenant.tenant);
        if tenant.is_none_or(|tenant| tenant.banned) {
            return Some("the enterprise is banned");
        }
        let campaign = core.parties.campaign?;
        if self.draining {
            Some("the service is shutting down")
        } else if !self.campaigns.is_running(campaign) {
            Some("the campaign was stopped")
        } else {
            None
        }
    }

    fn insert(&mut self, call: Call) {
        let core = &call.core;
        let id = core.id;
        self.world.lines.take(core.tenant.tenant, &core.parties);
        self.calls.insert(id, call);
        self.after(id);
    }

    /// Lets SIP's events and the calls' answers to them run until nothing moves.
    fn settle(&mut self) {
        loop {
            while let Some(transmit) = self.world.sip.poll_transmit() {
                self.world.effects.push(Effect::Send(transmit));
            }
            match self.world.sip.poll_event() {
                Some(event) => self.sip(event),
                None => break,
            }
        }
    }

    fn run_deadlines(&mut self) {
        let now = self.world.now.mono;
        if self.world.sip.next_deadline().is_some_and(|at| at <= now) {
            self.world.sip.expire(self.world.now);
            self.settle();
        }
        // Each call once: one that is due again at once waits for the next step, so that none can hold up the node.
        let mut due = Vec::new();
        while let Some(Reverse((at, id))) = self.deadlines.peek().copied()
            && at <= now
        {
            self.deadlines.pop();
            due.push((at, id));
        }
        for (at, id) in due {
            let Some(call) = self.calls.get_mut(&id) else {
                continue;
            };
            if call.scheduled != Some(at) {
                continue;
            }
            call.scheduled = None;
            if call.next_deadline(&self.world).is_some_and(|at| at <= now) {
                self.call(id, CallInput::Deadline);
                self.settle();
            } else {
                self.after(id);
            }
        }
        if !self.draining {
            self.campaigns.run(&mut self.world);
        }
    }

    /// What an interrupted call is charged to.
    fn beat(&mut self) {
        let now = self.world.now;
        if self.world.talking == 0 {
            self.next_beat = None;
            return;
        }
        if self.next_beat.is_some_and(|at| at <= now.mono) {
            self.world.persist(Persist::Beat(now));
            self.next_beat = None;
        }
        self.next_beat.get_or_insert(now.mono + BEAT);
    }

    fn sip(&mut self, event: sip::Event) {
        use sip::Event;
        match event {
            Event::Incoming(incoming) => self.incoming(&incoming),
            Event::Progress { id, sdp, .. } => {
                self.invite(id, LegInput::Progress { sdp }, false);
            }
            Event::Answered { id, sdp } => self.invite(id, LegInput::Answered { sdp }, false),
            Event::Confirmed { id, .. } => self.invite(id, LegInput::Confirmed, false),
            Event::Reoffer { id, sdp } => self.invite(id, LegInput::Reoffer { sdp }, false),
            Event::Cancelled { id } => {
                let text = "the caller gave up".to_owned();
                let gone = Gone {
                    code: Some(487),
                    q850: None,
                    text,
                    local: false,
                };
                self.invite(id, LegInput::Gone(gone), true);
            }
            Event::Failed {
                id,
                code,
                reason,
                q850,
                local,
            } => {
                let gone = Gone {
                    code: Some(code),
                    q850,
                    text: reason,
                    local,
                };
                self.invite(id, LegInput::Gone(gone), true);
            }
            Event::Ended {
                id,
                q850,
                text,
                local,
            } => {
                let gone = Gone {
                    code: None,
                    q850,
                    text,
                    local,
                };
                self.invite(id, LegInput::Gone(gone), true);
            }
            Event::Info {
                id,
                content_type,
                body,
            } => {
                if let Some(digit) = info_digit(&content_type, &body) {
                    self.invite(id, LegInput::Digit(digit), false);
                }
            }
            Event::Registered {
                aor,
                binding,
                refreshed,
            } => {
                self.registered(&aor, *binding, refreshed);
            }
            Event::Unregistered { aor, contact } => self.unbound(aor, &contact, "unregistered"),
            Event::Expired { aor, contact } => self.unbound(aor, &contact, "expired"),
            Event::RegistrationRejected {
                username,
                reason,
                remote,
            } => {
                if let Some((tenant, _)) = self.world.directory.device(&username) {
                    let tenant = tenant.tenant;
                    let data = json!({
                        "username": username,
                        "reason": reason.to_string(),
                        "source": remote.to_string(),
                    });
                    self.world.notify(tenant, "extension.rejected", data);
                }
            }
            Event::Reoffered { id, result } => {
                let sdp = result.ok().flatten();
                self.invite(id, LegInput::Reoffered { sdp }, false);
            }
            // We register with nobody.
            Event::RegistrationUp { .. } | Event::RegistrationDown { .. } => {}
        }
    }

    fn media(&mut self, event: media::Event) {
        use media::Event;
        match event {
            Event::PlayStarted { leg, play } => self.leg(leg, LegInput::PlayStarted(play)),
            Event::PlayFinished { leg, play } => self.leg(leg, LegInput::PlayFinished(play)),
            Event::Digit { leg, digit } => self.leg(leg, LegInput::Digit(digit)),
            Event::Silent { leg } => self.leg(leg, LegInput::Silent),
            Event::SourceLocked { .. } => {}
            Event::Closed { leg, stats } => self.closed(leg, Some(stats)),
        }
    }

    /// A leg's socket is gone: as asked, or it could not be opened, or its worker lost it.
    fn closed(&mut self, leg: LegId, stats: Option<LegStats>) {
        self.world.media_closed(leg);
        let Some(call) = self.world.legs.get(&leg).copied() else {
            return;
        };
        let found = self.calls.get_mut(&call);
        if found.is_some_and(|found| found.media_closed(leg, stats)) {
            self.leg(leg, LegInput::MediaFailed);
        } else {
            self.after(call);
        }
    }

    fn worker(&mut self) -> u16 {
        self.next_worker = self.next_worker.wrapping_add(1);
        self.next_worker % self.world.config.workers.max(1)
    }

    fn call(&mut self, id: CallId, input: CallInput) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let world = &mut self.world;
        // One call's defect ends that call, with a record; its neighbours go on.
        let outcome = catch_unwind(AssertUnwindSafe(|| call.handle(world, input)));
        if outcome.is_err() {
            call.core.end_by(world, EndedBy::System, "internal error");
        }
        if call.core.end.is_some() {
            call.over(world);
        }
        self.after(id);
    }

    fn leg(&mut self, leg: LegId, input: LegInput) {
        if let Some(call) = self.world.legs.get(&leg).copied() {
            self.call(call, CallInput::Leg(leg, input));
        }
    }

    fn invite(&mut self, id: sip::InviteId, input: LegInput, terminal: bool) {
        let leg = if terminal {
            self.world.invites.remove(&id)
        } else {
            self.world.invites.get(&id).copied()
        };
        if let Some(leg) = leg {
            self.leg(leg, input);
        }
    }

    /// After anything happened to a call: write its record if it is finished, else note when it wants to be looked at.
    fn after(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.is_finished(self.world.now.mono) {
            if let Some(at) = call.next_deadline(&self.world)
                && call.scheduled.is_none_or(|scheduled| at < scheduled)
            {
                call.scheduled = Some(at);
                self.deadlines.push(Reverse((at, id)));
            }
            return;
        }
        let Some(mut call) = self.calls.remove(&id) else {
            return;
        };
        for leg in &call.core.legs {
            self.world.legs.remove(&leg.id);
        }
        let core = &call.core;
        let tenant = core.tenant.tenant;
        self.world.lines.give_back(tenant, &core.parties);
        if core.parties.trunk.is_some() {
            self.campaigns.line_free(self.world.now.mono, tenant);
        }
        let mut refused = false;
        if let Some(finish) = call.finish(&mut self.world) {
            let cdr = &finish.cdr;
            let data = json!({
                "disposition": cdr.disposition,
                "termination": cdr.termination,
                "talk_ms": cdr.talk_ms,
                "charge": cdr.charge,
                "recording": cdr.recording,
                "grade": finish.grade.as_ref().map(|grade| grade.grade),
                "stats": cdr.customer_stats,
            });
            refused = cdr.disposition == Disposition::Refused;
            call.core.notify(&mut self.world, "call.ended", data);
            self.world.persist(Persist::Finish(Arc::new(finish)));
        }
        if let App::Robot(robot) = &call.app {
            let campaign = robot.campaign();
            self.campaigns.ended(&mut self.world, campaign, refused);
        }
    }
}

/// RFC 6086 carries no digits of its own; these two bodies are what phones send.
fn info_digit(content_type: &str, body: &[u8]) -> Option<char> {
    let body = std::str::from_utf8(body).ok()?;
    let text = match content_type.to_ascii_lowercase().as_str() {
        "application/dtmf-relay" => body
            .lines()
            .find_map(|line| line.trim().strip_prefix("Signal"))
            .map(|rest| rest.trim_start_matches([' ', '=']))?,
        "application/dtmf" => body,
        _ => return None,
    };
    let digit = text.trim().chars().next()?.to_ascii_uppercase();
    matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D').then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::direct::Direct;
    use crate::call::Core;
    use crate::directory::TenantDirectory;
    use bytes::Bytes;

    fn tenant() -> Arc<TenantDirectory> {
        Arc::new(TenantDirectory {
            tenant: TenantId(model::id::Uuid::from_u128(1)),
            account: "acme".into(),
            domains: Vec::new(),
            banned: false,
            country: "86".into(),
            rate: billing::Rate::per_minute(Currency::Cny, Money(10)),
            robot_lines: 1,
            policy: dialer::Policy::default(),
            extensions: Vec::new(),
            trunks: Vec::new(),
            caller_numbers: Vec::new(),
        })
    }

    #[test]
    fn a_defect_in_one_call_ends_that_call_with_a_record() {
        let address: std::net::SocketAddr = ([127, 0, 0, 1], 5060).into();
        let config = Config {
            sip: sip::Config::new("pbx.example", address),
            media_address: address.ip(),
            rtp_ports: vec![20_000, 20_002],
            workers: 1,
        };
        let mut node = Node::new(config, [1; 32]);
        let begin = |node: &mut Node| {
            let parties = crate::call::Parties {
                direction: Direction::Internal,
                caller: "1001".into(),
                callee: "1002".into(),
                campaign: None,
                lead: None,
                extension: None,
                trunk: None,
            };
            let id: CallId = node.world.mint(Wall::from_millis(1));
            let mut core = Core::new(&node.world, id, tenant(), 0, parties);
            let opened = node.world.open_media(id, 0).expect("a port is free");
            let leg = core.add_leg(opened, address.ip());
            let direct = Direct::new(leg, Bytes::new(), Vec::new(), Vec::new());
            node.insert(Call::direct(core, direct));
            (id, leg)
        };
        let (broken, leg) = begin(&mut node);
        let (sound, _) = begin(&mut node);
        node.call(broken, CallInput::Panic);
        node.call(broken, CallInput::Panic);
        assert_eq!(node.calls(), 2, "its media is still closing");
        let stats = LegStats::default();
        node.take(Input::Media(media::Event::Closed { leg, stats }));
        assert!(node.calls.contains_key(&sound) && node.calls() == 1);
        let records: Vec<&Cdr> = node
            .world
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Persist(Persist::Finish(finish)) => Some(&finish.cdr),
                _ => None,
            })
            .collect();
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].id, records[0].termination.by),
            (broken, EndedBy::System)
        );
        assert_eq!(node.world.open_ports(), 1);
    }
}
