//! A device calls: who it is, where it wants to go, whether it may; and the call that begins.

use super::Node;
use crate::app::direct::Direct;
use crate::call::{Call, CallInput, Core};
use crate::directory::TenantDirectory;
use crate::effect::{Begin, Persist, Reserve};
use crate::route::{self, Refusal, Route};
use dialer::{Called, Decision, History, Purpose, SpecialKind};
use media::Codec;
use model::*;
use serde_json::json;
use std::time::Duration;

/// What a direct call out reserves for at most.
const OUTBOUND_AT_MOST: Duration = Duration::from_secs(3600);

impl Node {
    pub(super) fn incoming(&mut self, incoming: &sip::Incoming) {
        if let Err(Refusal { code, q850, text }) = self.admit(incoming) {
            let tenant = self
                .world
                .directory
                .device(&incoming.account.username)
                .map(|(tenant, _)| tenant.tenant);
            if let Some(tenant) = tenant {
                let data = json!({
                    "account": incoming.account.username,
                    "to": incoming.to_user,
                    "sip_code": code,
                    "q850": q850,
                    "reason": text,
                });
                self.world.notify(tenant, "call.refused", data);
            }
            self.world
                .sip
                .reject(self.world.now, incoming.id, code, text, Some(q850));
        }
    }

    /// An authenticated device calls: route it, ask the gate, begin.
    fn admit(&mut self, incoming: &sip::Incoming) -> Result<(), Refusal> {
        let refuse = |code, q850, text| Refusal { code, q850, text };
        if self.draining {
            return Err(refuse(503, 41, "the service is shutting down"));
        }
        let (tenant, device) = self
            .world
            .directory
            .device(&incoming.account.username)
            .map(|(tenant, device)| (tenant.clone(), device))
            .ok_or(refuse(403, 21, "the account is gone"))?;
        let offer = incoming
            .offer
            .clone()
            // Late offers come with the media part that can make an offer of its own here.
            .ok_or(refuse(488, 88, "an INVITE needs an SDP offer"))?;
        let codecs = spoken_codecs(&offer);
        if codecs.is_empty() {
            return Err(refuse(488, 88, "no common codec"));
        }
        let id: CallId = self.world.mint(self.world.now.wall);
        let worker = self.worker();
        match route::route(&self.world, &tenant, device, incoming)? {
            Route::Inside { parties, to } => {
                let mut core = Core::new(&self.world, id, tenant, worker, parties);
                let caller = core.admit(&mut self.world, incoming).ok_or(refuse(
                    503,
                    34,
                    "no RTP port is free",
                ))?;
                let direct = Direct::new(caller, offer, codecs, to);
                self.insert(Call::direct(core, direct));
                self.call(id, CallInput::Start);
            }
            Route::Outside {
                parties,
                callee,
                to,
            } => {
                self.may_call_out(&tenant, &callee)?;
                let emergency = matches!(callee, Called::Emergency(_));
                let trunk = parties.trunk.and_then(|id| tenant.trunk(id));
                if let Some(trunk) = trunk
                    && !emergency
                    && self.world.lines.trunk(trunk.id) >= trunk.max_calls
                {
                    return Err(refuse(503, 34, "all lines of the trunk are in use"));
                }
                let mut core = Core::new(&self.world, id, tenant.clone(), worker, parties);
                let caller = core.admit(&mut self.world, incoming).ok_or(refuse(
                    503,
                    34,
                    "no RTP port is free",
                ))?;
                let direct = Direct::new(caller, offer, codecs, vec![to]);
                self.begin_outside(&mut core, emergency);
                self.insert(Call::direct(core, direct));
                if emergency {
                    self.call(id, CallInput::Start);
                }
            }
        }
        Ok(())
    }

    /// The gate for a person's call. The balance is asked where it is reserved, in the store.
    fn may_call_out(&self, tenant: &TenantDirectory, callee: &Called) -> Result<(), Refusal> {
        // The route has seen to it that the displayed number is approved.
        let policy = tenant
            .policy
            .for_person(Purpose::Service, true, Money::ZERO);
        // Nothing is known of the number here, since no SQL is on this path. Of the rules that bind a person only the
        // platform's do-not-call list would need it, and is not applied to people's calls yet.
        let history = History::default();
        let verdict = match callee {
            Called::Number(number) => {
                dialer::may_dial(self.world.now.wall, number, &policy, &history)
            }
            Called::Emergency(digits) => {
                dialer::may_dial_special(SpecialKind::Emergency, digits, &policy, &history)
            }
            Called::Short(digits) => {
                dialer::may_dial_special(SpecialKind::Short, digits, &policy, &history)
            }
        };
        match verdict {
            Decision::Allow => Ok(()),
            Decision::Deny { rule, .. } => Err(Refusal {
                code: 403,
                q850: 21,
                text: rule.code(),
            }),
        }
    }

    /// Asks the store to commit the call and its reservation before its INVITE leaves. An emergency call reserves nothing
    /// and waits for no database.
    fn begin_outside(&mut self, core: &mut Core, emergency: bool) {
        core.beginning = !emergency;
        if let Some(trunk) = core.parties.trunk {
            self.campaigns.started(self.world.now.mono, trunk);
        }
        let reserve = Reserve {
            rate: core.tenant.rate,
            at_most: OUTBOUND_AT_MOST,
        };
        let parties = &core.parties;
        self.world.persist(Persist::Begin(Box::new(Begin {
            call: core.id,
            tenant: core.tenant.tenant,
            direction: parties.direction,
            campaign: None,
            lead: None,
            extension: parties.extension,
            trunk: parties.trunk,
            caller: parties.caller.clone(),
            callee: parties.callee.clone(),
            at: self.world.now.wall,
            reserve: (!emergency).then_some(reserve),
        })));
    }
}

/// The codecs of ours that an offer has.
fn spoken_codecs(offer: &[u8]) -> Vec<Codec> {
    let discard = (std::net::Ipv4Addr::LOCALHOST, 9).into();
    let mut probe = media::LocalParams::new(discard, 0);
    let all = std::mem::take(&mut probe.codecs);
    all.into_iter()
        .filter(|codec| {
            probe.codecs = vec![*codec];
            media::sdp::answer(offer, &probe).is_ok()
        })
        .collect()
}
