//! The money's own books: sums from the postings as they are committed, compared with what the ledger says.

use super::{Law, Record, Verdict, must};
use billing::{Account, Kind, Ledger, Posting};
use model::{CallId, TenantId};
use std::collections::HashMap;

#[derive(Clone, Copy)]
enum Held {
    Open(i64),
    /// Charged so much, less refunds.
    Closed(i64),
}

#[derive(Default)]
pub(super) struct Money {
    deposits: i64,
    credits: i64,
    refunds: i64,
    charges: i64,
    reserved: i64,
    /// Postings seen.
    postings: usize,
    held: HashMap<CallId, Held>,
    changed: bool,
}

fn law(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Verdict {
    must(holds, Law::Money, rule, what)
}

impl Money {
    fn available(&self) -> i64 {
        self.deposits + self.credits + self.refunds - self.charges - self.reserved
    }

    pub fn posted(&mut self, posting: &Posting) -> Verdict {
        self.changed = true;
        self.postings += 1;
        let sum: i64 = posting.entries.iter().map(|entry| entry.amount.0).sum();
        law(sum == 0, "debits are credits", || {
            format!("{} sums to {sum}", posting.key)
        })?;
        let gained = |account| -> i64 {
            let of = posting
                .entries
                .iter()
                .filter(|entry| entry.account == account);
            of.map(|entry| entry.amount.0).sum()
        };
        let available = gained(Account::Available(posting.tenant));
        let reserved = gained(Account::Reserved(posting.tenant));
        match posting.kind {
            Kind::Recharge => self.deposits += available,
            Kind::Credit => self.credits += available,
            Kind::Refund => self.refunds += available,
            Kind::Reserve => self.reserved += reserved,
            Kind::Settle | Kind::Release => self.reserved += reserved,
        }
        let charged = match posting.kind {
            Kind::Settle => gained(Account::Revenue),
            _ => 0,
        };
        self.charges += charged;
        if let Some(call) = posting.call {
            let before = self.held.get(&call).copied();
            let after = match (posting.kind, before) {
                (Kind::Reserve, None) => Held::Open(reserved),
                (Kind::Settle | Kind::Release, Some(Held::Open(held))) => {
                    let fits = -reserved == held && (0..=held).contains(&charged);
                    law(fits, "a charge is within its reservation", || {
                        format!(
                            "{call} held {held}, gives back {}, pays {charged}",
                            -reserved
                        )
                    })?;
                    Held::Closed(charged)
                }
                (Kind::Refund, Some(Held::Closed(paid))) => Held::Closed(paid - available),
                (kind, _) => {
                    return law(false, "one reservation, one end", || {
                        format!("{call}: {} a second time, or for nothing", kind.code())
                    });
                }
            };
            self.held.insert(call, after);
        }
        Ok(())
    }

    /// The record came with the end of its reservation, in one transaction.
    pub fn recorded(&mut self, record: &Record) -> Verdict {
        let call = record.call;
        match self.held.get(&call) {
            Some(Held::Open(held)) => law(false, "reservations end with their call", || {
                format!("{call} has its record and still holds {held}")
            }),
            Some(Held::Closed(paid)) => {
                let (paid, due) = (*paid, record.charge.0);
                law(paid == due, "the charge is the record's", || {
                    format!("{call} paid {paid}, its record says {due}")
                })
            }
            None => law(record.charge.0 == 0, "no reservation, no charge", || {
                format!("{call} costs {}", record.charge)
            }),
        }
    }

    pub fn stepped(&mut self, ledger: &Ledger, tenant: TenantId) -> Verdict {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let theirs = ledger.totals(tenant);
        let theirs = [
            theirs.deposits,
            theirs.credits,
            theirs.refunds,
            theirs.charges,
            theirs.reserved,
            theirs.available,
        ];
        let ours = [
            self.deposits,
            self.credits,
            self.refunds,
            self.charges,
            self.reserved,
            self.available(),
        ];
        let same = theirs.map(|money| money.0) == ours;
        law(same, "the books agree", || {
            format!("{theirs:?} is not {ours:?}")
        })?;
        let floor = ours.iter().all(|figure| *figure >= 0);
        law(floor, "nothing below zero", || format!("{ours:?}"))?;
        let grown = ledger.journal().len() == self.postings;
        law(grown, "the ledger only grows", || {
            format!(
                "{} postings, {} seen",
                ledger.journal().len(),
                self.postings
            )
        })
    }

    pub fn closed(&mut self, ledger: &Ledger, tenant: TenantId) -> Verdict {
        law(
            self.reserved == 0,
            "reservations end with their call",
            || format!("{} is reserved and nobody calls", self.reserved),
        )?;
        let again = Ledger::replay(ledger.journal());
        let same = again.is_ok_and(|again| again.totals(tenant) == ledger.totals(tenant));
        law(same, "replay is the same", || {
            "the journal replays to another balance".to_owned()
        })?;
        let broken = ledger.check().err();
        law(broken.is_none(), "replay is the same", || {
            format!("{broken:?}")
        })
    }
}
