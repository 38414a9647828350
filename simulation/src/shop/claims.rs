//! Claims: due leads handed to the node, each with the facts the gate asks for.

use super::{Flaw, Shop};
use dialer::{DncHit, DncList, History, LeadState};
use model::*;
use switch::{Candidate, Claimed, Input};

impl Shop {
    pub(super) fn claim(
        &mut self,
        claim: u64,
        campaign: CampaignId,
        at_most: u16,
        now: Wall,
    ) -> Input {
        // An earlier try of the same claim may have been committed after all.
        self.give_back(claim);
        self.claims += 1;
        let balance = self.ledger.available(crate::house::tenant());
        let waiting = self.waiting.entry(campaign).or_default();
        let due = waiting.iter().take_while(|(due, _)| *due <= now);
        let ids: Vec<LeadId> = due.take(usize::from(at_most)).map(|(_, id)| *id).collect();
        let mut leads = Vec::with_capacity(ids.len());
        for id in ids {
            self.set(id, LeadState::Claimed);
            let Some(row) = self.leads.get_mut(&id) else {
                continue;
            };
            row.claim = claim;
            let lead = row.lead.clone();
            let mut history = History {
                balance,
                attempts: lead.attempts,
                unreached_in_a_row: lead.unreached_in_a_row,
                ..History::default()
            };
            if let Some(facts) = self.numbers.get(lead.number.as_str()) {
                history.recent = facts.recent.iter().rev().copied().collect();
                history.last = facts.last;
                history.refused_at = facts.refused_at;
                history.in_flight = facts.live.is_some();
                if facts.suppressed {
                    let (list, until) = (DncList::Tenant, None);
                    history.dnc.push(DncHit { list, until });
                }
            }
            leads.push(Candidate { lead, history });
        }
        let next = self
            .waiting
            .get(&campaign)
            .and_then(|waiting| waiting.first());
        Input::Claimed {
            campaign,
            result: Ok(Claimed {
                leads,
                next_due: next.map(|(due, _)| *due),
            }),
        }
    }

    /// Leads of a claim that nobody was told of wait again.
    pub(super) fn give_back(&mut self, claim: u64) {
        if self.flaw == Some(Flaw::ForgetsClaims) {
            return;
        }
        let of_claim = |id: &&LeadId| self.leads.get(id).is_some_and(|row| row.claim == claim);
        let ids: Vec<LeadId> = self.claimed.iter().filter(of_claim).copied().collect();
        for id in ids {
            self.set(id, LeadState::Queued);
        }
    }
}
