//! Kill, recovery, restart. The process takes with it everything that was not on disk or on the wire; what the next one does first is
//! what `store::recovery` does.

use crate::journal::Left;
use crate::log::note;
use crate::peer::Act;
use crate::stage::{Happening, Stage};
use crate::watch::FORGOTTEN;
use dialer::CampaignState;
use model::Disposition;
use std::sync::Arc;
use switch::effect::LeadTerms;
use switch::{Begin, Input, Node};

/// Each life of the process has chance of its own.
pub(crate) fn key(seed: u64, life: u32) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&life.to_le_bytes());
    key
}

impl Stage {
    /// The process dies between two effects; another one is started after a while.
    pub fn kill(&mut self) {
        if self.down {
            return;
        }
        note!(self, "KILLED, and with it {} calls", self.node.calls());
        self.count("process killed");
        self.down = true;
        let at = self.at();
        self.watch.killed(at);
        let lost = self.chance.between(0, FORGOTTEN);
        self.left = self.journal.cut(self.ms, lost);
        self.shop.dies();
        self.worker.dies();
        self.callees.die();
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue
            .into_iter()
            .filter(|entered| !entered.happening.is_inside())
            .collect();
        self.node_wakes = None;
        self.lost_requests = true;
        // People on the phone hear nothing any more and hang up.
        for n in 0..self.peers.len() {
            let dialogs: Vec<_> = self.peers[n].dialogs.keys().copied().collect();
            for id in dialogs {
                let patience = self.chance.between(2000, 20_000);
                self.after(patience, Happening::PeerActs(n, id, Act::HangUp));
            }
        }
        let pause = self.chance.between(300, 8000);
        self.after(pause, Happening::Restart);
    }

    /// A new process: recovery first, then what is configured.
    pub(crate) fn restart(&mut self) {
        if !self.down {
            return;
        }
        self.life += 1;
        self.born = self.ms;
        self.node = Node::new(self.config.clone(), key(self.seed, self.life));
        let now = self.now();
        // Attempts that are open, and calls that were noted.
        let Left { mut calls, beat } = std::mem::take(&mut self.left);
        for call in self.shop.open() {
            if let Some(attempt) = self.shop.attempts.get(&call) {
                let terms = self.terms(&attempt.begin);
                calls.entry(call).or_default().begun(&attempt.begin, terms);
            }
        }
        let mut interrupted = 0;
        for finish in calls
            .into_values()
            .filter_map(|known| known.end(beat, now.wall))
        {
            interrupted += usize::from(finish.cdr.disposition == Disposition::Interrupted);
            self.shop.finish(Arc::new(finish));
        }
        self.shop.recover(now.wall);
        note!(self, "starts again, {interrupted} calls interrupted");
        self.learn();
        self.down = false;
        let directory = self.directory.clone();
        self.tell(Input::Directory(directory));
        let bound = self.shop.bound.values();
        let bound = bound
            .filter(|binding| binding.expires_at > now.wall)
            .cloned()
            .collect();
        self.tell(Input::Restore(bound));
        for plan in self.plans.clone().into_values() {
            if plan.campaign.state == CampaignState::Running {
                self.tell(Input::Campaign(plan));
            }
        }
    }

    fn terms(&self, begin: &Begin) -> Option<LeadTerms> {
        let row = self.shop.leads.get(&begin.lead?)?;
        let plan = self.plans.get(&begin.campaign?)?;
        Some(LeadTerms::of(&plan.campaign, &row.lead))
    }
}
