//! Whom the node dials and when: asked of every INVITE that leaves for a lead's number, with rules read from the plan itself.

use super::calls::Invited;
use super::{At, Barred, Law, Record, Verdict, must};
use dialer::{Campaign, CampaignState, Rule};
use model::calendar::{Calendar, Weekday};
use model::*;
use std::collections::HashMap;
use switch::{Begin, Denied, TenantDirectory};

/// Shanghai keeps no summer time.
const SHANGHAI: i64 = 8 * 3_600_000;
const DAY: i64 = 86_400_000;
/// A tenant leaves a callee alone who refused.
const AFTER_REFUSAL: i64 = 30 * DAY;

/// What a campaign allows.
pub(crate) struct Rules {
    running: bool,
    lines: u32,
    pub max_attempts: u32,
    pub unconnected: u32,
    trunk: TrunkId,
    /// From and to, in milliseconds of the week that begins on Monday; all of them must be open.
    open: Vec<Vec<(i64, i64)>>,
    retry: dialer::RetryRules,
}

impl Rules {
    /// How long to wait after such an attempt.
    pub fn wait(&self, cause: Unreached) -> Option<i64> {
        let retry = &self.retry;
        let wait = match cause {
            Unreached::EmptyNumber => None,
            Unreached::Busy => retry.busy,
            Unreached::Rejected => retry.rejected,
            Unreached::NoAnswer => retry.no_answer,
            Unreached::SwitchedOff => retry.switched_off,
            Unreached::Machine | Unreached::CallAssistant => retry.machine,
            Unreached::Fax => retry.fax,
            Unreached::Network => retry.network,
        };
        wait.map(|wait| wait.as_millis() as i64)
    }

    fn is_open(&self, at: Wall) -> bool {
        // The epoch was a Thursday.
        let in_week = (at.0 + SHANGHAI + 3 * DAY).rem_euclid(7 * DAY);
        let within = |spans: &Vec<(i64, i64)>| {
            spans
                .iter()
                .any(|(from, to)| (*from..*to).contains(&in_week))
        };
        self.open.iter().all(within)
    }
}

/// Spans that do not run over midnight, as those of a simulation are.
fn week(calendar: &Calendar) -> Vec<(i64, i64)> {
    let span = |span: &model::calendar::Span| {
        let day = match span.day {
            Weekday::Mon => 0,
            Weekday::Tue => 1,
            Weekday::Wed => 2,
            Weekday::Thu => 3,
            Weekday::Fri => 4,
            Weekday::Sat => 5,
            Weekday::Sun => 6,
        };
        let minute = |m: u16| day * DAY + i64::from(m) * 60_000;
        (minute(span.from), minute(span.to))
    };
    calendar.spans.iter().map(span).collect()
}

#[derive(Default)]
struct Number {
    /// Committed and not yet recorded.
    committed: u32,
    recorded_at: Option<u64>,
    suppressed: bool,
    refused_at: Option<Wall>,
    /// The last attempt that ended without a person: when, and why.
    last: Option<(Wall, Unreached)>,
    /// When the attempts began that may have left, newest last.
    begun: Vec<Wall>,
}

struct Asked {
    number: String,
    lead: Option<LeadId>,
    campaign: Option<CampaignId>,
    trunk: Option<TrunkId>,
    at: Wall,
    invited: bool,
    committed: bool,
    /// In this life of the process.
    live: bool,
}

#[derive(Default)]
struct House {
    banned: bool,
    robot_lines: u32,
    trunks: HashMap<TrunkId, (u32, String)>,
    frequency: Vec<(usize, i64)>,
}

#[derive(Default)]
pub(super) struct Dialer {
    house: House,
    campaigns: HashMap<CampaignId, Rules>,
    numbers: HashMap<String, Number>,
    /// Until their record is committed.
    calls: HashMap<CallId, Asked>,
    attempts: HashMap<LeadId, u32>,
    /// Live calls: robots, by campaign, by trunk.
    robots: u32,
    by_campaign: HashMap<CampaignId, u32>,
    by_trunk: HashMap<TrunkId, u32>,
    /// Contacts by user, and until when (milliseconds of the story: a clock that is set ends no registration).
    bound: HashMap<String, (String, u64)>,
    draining: bool,
}

fn law(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Verdict {
    must(holds, Law::Dialer, rule, what)
}

impl Dialer {
    pub fn robots(&self) -> usize {
        self.robots as usize
    }
    pub fn rules(&self, campaign: CampaignId) -> Option<&Rules> {
        self.campaigns.get(&campaign)
    }
    pub fn barred(&self, number: &str) -> Barred {
        let number = self.numbers.get(number);
        number.map_or(Barred::default(), |number| Barred {
            suppressed: number.suppressed,
            refused: number.refused_at.is_some(),
            empty: number
                .last
                .is_some_and(|(_, cause)| cause == Unreached::EmptyNumber),
        })
    }

    pub fn directory(&mut self, directory: &TenantDirectory) {
        if directory.tenant != crate::house::tenant() {
            return;
        }
        let trunk =
            |trunk: &switch::Trunk| (trunk.id, (trunk.max_calls, trunk.account.username.clone()));
        let frequency = directory.policy.frequency.iter();
        self.house = House {
            banned: directory.banned,
            robot_lines: directory.robot_lines,
            trunks: directory.trunks.iter().map(trunk).collect(),
            frequency: frequency
                .map(|cap| (cap.calls as usize, cap.within.as_millis() as i64))
                .collect(),
        };
    }

    pub fn campaign(&mut self, campaign: &Campaign) {
        let rules = Rules {
            running: campaign.state == CampaignState::Running,
            lines: u32::from(campaign.lines),
            max_attempts: campaign.max_attempts,
            unconnected: campaign.unconnected,
            trunk: campaign.trunk,
            open: vec![week(&campaign.robot_hours), week(&campaign.calling_window)],
            retry: campaign.retry,
        };
        self.campaigns.insert(campaign.id, rules);
    }

    pub fn drain(&mut self) {
        self.draining = true;
    }

    pub fn bound(&mut self, at: At, binding: &sip::Binding) {
        let contact = binding.contact.as_str().to_owned();
        let lasts = binding.expires_at.since(at.now.wall).as_millis() as u64;
        self.bound
            .insert(contact, (binding.username.clone(), at.ms + lasts));
    }
    pub fn unbound(&mut self, contact: &str) {
        self.bound.remove(contact);
    }

    /// An attempt is asked for: the line it takes must be free.
    pub fn asked(&mut self, begin: &Begin) -> Verdict {
        let asked = Asked {
            number: begin.callee.clone(),
            lead: begin.lead,
            campaign: begin.campaign,
            trunk: begin.trunk,
            at: begin.at,
            invited: false,
            committed: false,
            live: true,
        };
        self.calls.insert(begin.call, asked);
        if let Some(trunk) = begin.trunk {
            *self.by_trunk.entry(trunk).or_default() += 1;
        }
        let Some(campaign) = begin.campaign else {
            return Ok(());
        };
        self.robots += 1;
        let on_campaign = self.by_campaign.entry(campaign).or_default();
        *on_campaign += 1;
        let on_campaign = *on_campaign;
        let Some(rules) = self.campaigns.get(&campaign) else {
            return Ok(());
        };
        let trunk = self
            .house
            .trunks
            .get(&rules.trunk)
            .map_or(0, |(most, _)| *most);
        let on_trunk = self.by_trunk.get(&rules.trunk).copied().unwrap_or(0);
        let robots = self.robots;
        let fits =
            on_campaign <= rules.lines && robots <= self.house.robot_lines && on_trunk <= trunk;
        law(fits, "lines are not exceeded", || {
            format!(
                "{on_campaign} of {} on the campaign, {robots} of {} robots, {on_trunk} of {trunk} on the trunk",
                rules.lines, self.house.robot_lines
            )
        })?;
        law(
            rules.running && !self.draining,
            "only a running campaign dials",
            || begin.callee.clone(),
        )
    }

    /// An attempt is committed.
    pub fn begun(&mut self, call: CallId) -> Verdict {
        let Some(asked) = self.calls.get_mut(&call) else {
            return Ok(());
        };
        if asked.lead.is_none() || std::mem::replace(&mut asked.committed, true) {
            return Ok(());
        }
        let number = self.numbers.entry(asked.number.clone()).or_default();
        number.committed += 1;
        let (committed, suppressed) = (number.committed, number.suppressed);
        law(committed == 1, "one live attempt on a number", || {
            asked.number.clone()
        })?;
        law(!suppressed, "no suppressed number", || {
            format!("an attempt on {} is committed", asked.number)
        })
    }

    /// The INVITE of an attempt leaves.
    pub fn invited(&mut self, at: At, number: &str, invited: &Invited) -> Verdict {
        let (Some(lead), Some(campaign)) = (invited.lead, invited.campaign) else {
            return Ok(());
        };
        let wall = at.now.wall;
        if let Some(asked) = self.calls.get_mut(&invited.call) {
            asked.invited = true;
        }
        let Some(rules) = self.campaigns.get(&campaign) else {
            return law(false, "only a running campaign dials", || number.to_owned());
        };
        let may = rules.running && !self.house.banned && !self.draining;
        law(may, "only a running campaign dials", || number.to_owned())?;
        law(rules.is_open(wall), "never outside the hours", || {
            format!("{number} at {}", wall.rfc3339())
        })?;
        let user = self
            .house
            .trunks
            .get(&rules.trunk)
            .map_or("", |(_, user)| user.as_str());
        let registered = self
            .bound
            .values()
            .any(|(of, until)| of == user && *until > at.ms);
        law(registered, "only a registered gateway is called", || {
            number.to_owned()
        })?;
        let attempts = self.attempts.entry(lead).or_default();
        *attempts += 1;
        let attempts = *attempts;
        law(attempts <= rules.max_attempts, "attempts hold", || {
            format!("{number}: attempt {attempts} of {}", rules.max_attempts)
        })?;
        let known = self.numbers.entry(number.to_owned()).or_default();
        if let Some((ended, cause)) = known.last {
            let due = rules.wait(cause).map(|wait| ended.0 + wait);
            law(
                due.is_some_and(|due| due <= wall.0),
                "spacing holds",
                || {
                    let since = wall.0 - ended.0;
                    format!("{number}: {since} ms after an attempt that ended with {cause:?}")
                },
            )?;
        }
        let left_alone = known
            .refused_at
            .is_none_or(|at| at.0 + AFTER_REFUSAL <= wall.0);
        law(left_alone, "who refused is left alone", || {
            number.to_owned()
        })?;
        for (calls, within) in &self.house.frequency {
            let recent = known
                .begun
                .iter()
                .filter(|at| at.0 + within > wall.0)
                .count();
            law(recent < *calls, "frequency holds", || {
                format!("{number}: {recent} calls before")
            })?;
        }
        known.begun.push(invited.begun_at);
        Ok(())
    }

    /// A denial's reason must be true.
    pub fn denied(&mut self, at: At, denied: &Denied) -> Verdict {
        let wall = at.now.wall;
        let known = self
            .numbers
            .entry(denied.number.as_str().to_owned())
            .or_default();
        let rules = self.campaigns.get(&denied.campaign);
        let attempts = self.attempts.get(&denied.lead).copied().unwrap_or(0);
        // What the gate knew is as old as its claim.
        let just_now = known.recorded_at.is_some_and(|then| at.ms - then < 60_000);
        let truly = match denied.rule {
            Rule::DoNotCall => known.suppressed,
            Rule::Refused => known.refused_at.is_some(),
            Rule::EmptyNumber | Rule::NotRetried => known.last.is_some(),
            Rule::InFlight => known.committed > 0 || just_now,
            Rule::AttemptsExhausted => rules.is_none_or(|rules| attempts >= rules.max_attempts),
            Rule::RetryInterval => known.last.is_some_and(|(ended, cause)| {
                let wait = rules.and_then(|rules| rules.wait(cause));
                wait.is_none_or(|wait| wall.0 < ended.0 + wait)
            }),
            Rule::Frequency => self.house.frequency.iter().any(|(calls, within)| {
                known
                    .begun
                    .iter()
                    .filter(|at| at.0 + within > wall.0)
                    .count()
                    >= *calls
            }),
            Rule::CallingWindow | Rule::RobotHours => {
                rules.is_none_or(|rules| !rules.is_open(wall))
            }
            Rule::Banned => self.house.banned,
            _ => true,
        };
        law(truly, "what is denied is denied truly", || {
            format!(
                "{} by {}: {}",
                denied.number,
                denied.rule.code(),
                denied.detail
            )
        })
    }

    /// Its record left the node: its line is free.
    pub fn over(&mut self, call: CallId) {
        let Some(asked) = self.calls.get_mut(&call) else {
            return;
        };
        if std::mem::take(&mut asked.live) {
            let (campaign, trunk) = (asked.campaign, asked.trunk);
            self.give_back(campaign, trunk);
        }
    }

    fn give_back(&mut self, campaign: Option<CampaignId>, trunk: Option<TrunkId>) {
        if let Some(count) = campaign.and_then(|id| self.by_campaign.get_mut(&id)) {
            *count -= 1;
            self.robots -= 1;
        }
        if let Some(count) = trunk.and_then(|id| self.by_trunk.get_mut(&id)) {
            *count -= 1;
        }
    }

    pub fn recorded(&mut self, at: At, record: &Record) {
        let Some(asked) = self.calls.remove(&record.call) else {
            return;
        };
        if asked.lead.is_none() {
            return;
        }
        let number = self.numbers.entry(asked.number).or_default();
        number.committed -= u32::from(asked.committed);
        number.recorded_at = Some(at.ms);
        let ended = record.ended_at;
        number.last = match record.disposition {
            Disposition::Unreached(cause) => Some((ended, cause)),
            Disposition::Cancelled | Disposition::Interrupted => Some((ended, Unreached::Network)),
            Disposition::Answered => None,
            // It never left, and says nothing of the number.
            Disposition::Refused => number.last,
        };
        if record.refused {
            number.refused_at = Some(ended);
        }
        // Whether its INVITE left before the kill nobody knows: it counts.
        if record.disposition == Disposition::Interrupted && !asked.invited {
            number.begun.push(asked.at);
            if let Some(lead) = asked.lead {
                *self.attempts.entry(lead).or_default() += 1;
            }
        }
    }

    pub fn suppressed(&mut self, number: String) {
        self.numbers.entry(number).or_default().suppressed = true;
    }

    pub fn killed(&mut self) {
        // What was not committed never was.
        self.calls.retain(|_, asked| asked.committed);
        for asked in self.calls.values_mut() {
            asked.live = false;
        }
        self.by_campaign.clear();
        self.by_trunk.clear();
        self.bound.clear();
        (self.robots, self.draining) = (0, false);
        for rules in self.campaigns.values_mut() {
            rules.running = false;
        }
    }
}
