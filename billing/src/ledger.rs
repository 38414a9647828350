//! Double entry. A posting moves money between accounts, its entries sum to zero, and its key lets it happen once.
//!
//! ```text
//! recharge   external  −x   available +x        reserve  available −r   reserved  +r
//! credit     revenue   −x   available +x        settle   reserved  −r   revenue   +c   available +(r−c)
//! refund     revenue   −x   available +x        release  reserved  −r   available +r
//! ```
//! For each tenant, always: deposits + credits + refunds − charges − reserved = available ≥ 0.
//!
//! A call has two keys, `call/<id>/open` and `call/<id>/close`. Settle and release share `close`: whichever comes first is the
//! end of the reservation, and the other is an error instead of a second release.
//!
//! `Posting` is what is stored; its builders are the only way to make one. `Ledger` is the reference: the store applies the
//! same postings in SQL (the key is a unique column, the reservation and the balance are checked in the same transaction).

use model::{CallId, Money, TenantId, Wall};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "account", content = "tenant")]
pub enum Account {
    /// What a tenant may still spend.
    Available(TenantId),
    /// Set aside for its calls.
    Reserved(TenantId),
    /// Earned by the platform.
    Revenue,
    /// Where recharges come from.
    External,
}

impl Account {
    /// Stable; stored beside the tenant.
    pub fn code(&self) -> &'static str {
        match self {
            Account::Available(_) => "available",
            Account::Reserved(_) => "reserved",
            Account::Revenue => "revenue",
            Account::External => "external",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(flatten)]
    pub account: Account,
    /// Signed; what the account gains.
    pub amount: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Recharge,
    /// A gift of the platform.
    Credit,
    Reserve,
    Settle,
    Release,
    /// A charge given back.
    Refund,
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::Recharge,
        Kind::Credit,
        Kind::Reserve,
        Kind::Settle,
        Kind::Release,
        Kind::Refund,
    ];

    /// Stable; stored and served.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Recharge => "recharge",
            Kind::Credit => "credit",
            Kind::Reserve => "reserve",
            Kind::Settle => "settle",
            Kind::Release => "release",
            Kind::Refund => "refund",
        }
    }
    pub fn from_code(code: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Idempotency key, unique in the whole ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The reservation of a call.
    pub fn open(call: CallId) -> Key {
        Key(format!("call/{call}/open"))
    }
    /// The end of it, charged or not.
    pub fn close(call: CallId) -> Key {
        Key(format!("call/{call}/close"))
    }
    /// For what is no call: a recharge by its receipt, a refund by its request. Of the tenant, so that references of two
    /// tenants never meet.
    pub fn reference(tenant: TenantId, kind: Kind, reference: &str) -> Key {
        Key(format!("{}/{tenant}/{reference}", kind.code()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The reference in a key's text; none in a call's.
    pub fn referred(text: &str) -> Option<&str> {
        let (kind, rest) = text.split_once('/')?;
        let (_, reference) = rest.split_once('/')?;
        (kind != "call").then_some(reference)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One movement of money. `at` and `note` are for people and do not belong to its body: a retry may carry later ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub key: Key,
    pub kind: Kind,
    pub tenant: TenantId,
    pub call: Option<CallId>,
    pub at: Wall,
    pub note: String,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    #[error("the amount must be more than nothing")]
    NotPositive,
}

impl Posting {
    /// Money came in. `reference` names the receipt: the same receipt again is the same recharge.
    pub fn recharge(
        tenant: TenantId,
        reference: &str,
        amount: Money,
        at: Wall,
    ) -> Result<Posting, PostingError> {
        Posting::gain(
            Kind::Recharge,
            Account::External,
            tenant,
            None,
            reference,
            amount,
            at,
        )
    }

    /// The platform gives.
    pub fn credit(
        tenant: TenantId,
        reference: &str,
        amount: Money,
        at: Wall,
    ) -> Result<Posting, PostingError> {
        Posting::gain(
            Kind::Credit,
            Account::Revenue,
            tenant,
            None,
            reference,
            amount,
            at,
        )
    }

    /// A call's charge, or part of it, goes back. Several refunds of one call have several references.
    pub fn refund(
        tenant: TenantId,
        call: CallId,
        reference: &str,
        amount: Money,
        at: Wall,
    ) -> Result<Posting, PostingError> {
        Posting::gain(
            Kind::Refund,
            Account::Revenue,
            tenant,
            Some(call),
            reference,
            amount,
            at,
        )
    }

    fn gain(
        kind: Kind,
        from: Account,
        tenant: TenantId,
        call: Option<CallId>,
        reference: &str,
        amount: Money,
        at: Wall,
    ) -> Result<Posting, PostingError> {
        if !amount.is_positive() {
            return Err(PostingError::NotPositive);
        }
        let entries = vec![
            Entry {
                account: from,
                amount: -amount,
            },
            Entry {
                account: Account::Available(tenant),
                amount,
            },
        ];
        let key = Key::reference(tenant, kind, reference);
        Ok(Posting {
            key,
            kind,
            tenant,
            call,
            at,
            note: String::new(),
            entries,
        })
    }

    /// Sets `amount` aside for a call; nothing less than zero. A free call reserves zero, so that its end finds it.
    pub fn reserve(tenant: TenantId, call: CallId, amount: Money, at: Wall) -> Posting {
        let amount = amount.max(Money::ZERO);
        let entries = vec![
            Entry {
                account: Account::Available(tenant),
                amount: -amount,
            },
            Entry {
                account: Account::Reserved(tenant),
                amount,
            },
        ];
        Posting::of_call(Key::open(call), Kind::Reserve, tenant, call, at, entries)
    }

    /// Charges a call and releases the rest. `charge` is held between nothing and what was reserved: there is no other money
    /// it may touch. A charge of nothing is a settlement too.
    pub fn settle(
        tenant: TenantId,
        call: CallId,
        reserved: Money,
        charge: Money,
        at: Wall,
    ) -> Posting {
        let reserved = reserved.max(Money::ZERO);
        let charge = charge.clamp(Money::ZERO, reserved);
        let rest = Money(reserved.minor() - charge.minor());
        let mut entries = vec![
            Entry {
                account: Account::Reserved(tenant),
                amount: -reserved,
            },
            Entry {
                account: Account::Revenue,
                amount: charge,
            },
        ];
        if rest.is_positive() {
            entries.push(Entry {
                account: Account::Available(tenant),
                amount: rest,
            });
        }
        Posting::of_call(Key::close(call), Kind::Settle, tenant, call, at, entries)
    }

    /// Ends a reservation without a charge.
    pub fn release(tenant: TenantId, call: CallId, reserved: Money, at: Wall) -> Posting {
        let reserved = reserved.max(Money::ZERO);
        let entries = vec![
            Entry {
                account: Account::Reserved(tenant),
                amount: -reserved,
            },
            Entry {
                account: Account::Available(tenant),
                amount: reserved,
            },
        ];
        Posting::of_call(Key::close(call), Kind::Release, tenant, call, at, entries)
    }

    fn of_call(
        key: Key,
        kind: Kind,
        tenant: TenantId,
        call: CallId,
        at: Wall,
        entries: Vec<Entry>,
    ) -> Posting {
        Posting {
            key,
            kind,
            tenant,
            call: Some(call),
            at,
            note: String::new(),
            entries,
        }
    }

    pub fn with_note(mut self, note: impl Into<String>) -> Posting {
        self.note = note.into();
        self
    }

    /// What an account gains by it.
    pub fn gained(&self, account: Account) -> Money {
        let of = self.entries.iter().filter(|entry| entry.account == account);
        let sum = of
            .map(|entry| entry.amount.minor())
            .fold(0, i64::saturating_add);
        // Never i64::MIN, which has no negative.
        Money(sum.max(-i64::MAX))
    }

    /// What a settlement charges (zero for every other kind).
    pub fn charged(&self) -> Money {
        match self.kind {
            Kind::Settle => self.gained(Account::Revenue),
            _ => Money::ZERO,
        }
    }

    pub fn balanced(&self) -> bool {
        self.entries
            .iter()
            .map(|entry| i128::from(entry.amount.minor()))
            .sum::<i128>()
            == 0
    }

    /// A call's postings carry the call's keys, the others a reference of the tenant's and kind's.
    fn key_fits(&self) -> bool {
        match (self.kind, self.call) {
            (Kind::Reserve, Some(call)) => self.key == Key::open(call),
            (Kind::Settle | Kind::Release, Some(call)) => self.key == Key::close(call),
            (Kind::Recharge | Kind::Credit, None) | (Kind::Refund, Some(_)) => {
                let start = Key::reference(self.tenant, self.kind, "");
                self.key.0.starts_with(start.as_str())
            }
            _ => false,
        }
    }

    /// Each kind moves money between its own accounts, and no other tenant's.
    fn accounts_fit(&self) -> bool {
        let available = Account::Available(self.tenant);
        let reserved = Account::Reserved(self.tenant);
        let allowed: &[Account] = match self.kind {
            Kind::Recharge => &[Account::External, available],
            Kind::Credit | Kind::Refund => &[Account::Revenue, available],
            Kind::Reserve | Kind::Release => &[available, reserved],
            Kind::Settle => &[available, reserved, Account::Revenue],
        };
        self.entries
            .iter()
            .all(|entry| allowed.contains(&entry.account))
    }

    /// The same movement: all but when and why.
    pub fn same_body(&self, other: &Posting) -> bool {
        (self.kind, self.tenant, self.call, &self.entries)
            == (other.kind, other.tenant, other.call, &other.entries)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    New,
    /// It was there already, the same; nothing changed.
    Already,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("the entries of `{0}` do not sum to zero")]
    Unbalanced(Key),
    #[error("`{0}` was posted before with another body")]
    Conflict(Key),
    #[error("{available} is available, {needed} is needed")]
    Insufficient { available: Money, needed: Money },
    #[error("call {0} has no open reservation of that amount")]
    NoReservation(CallId),
    #[error("call {call} was charged {charged} less refunds; {asked} cannot be refunded")]
    RefundTooLarge {
        call: CallId,
        charged: Money,
        asked: Money,
    },
    #[error("`{0}` is not a movement its kind makes")]
    Shape(Key),
    #[error("an amount is beyond what an account holds")]
    Overflow,
}

/// A tenant's figures, each never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub deposits: Money,
    pub credits: Money,
    pub refunds: Money,
    pub charges: Money,
    pub reserved: Money,
    pub available: Money,
}

impl Totals {
    /// deposits + credits + refunds − charges − reserved = available, and nothing below zero.
    pub fn hold(&self) -> bool {
        let wide = |money: Money| i128::from(money.minor());
        let sum = wide(self.deposits) + wide(self.credits) + wide(self.refunds)
            - wide(self.charges)
            - wide(self.reserved);
        let all = [
            self.deposits,
            self.credits,
            self.refunds,
            self.charges,
            self.reserved,
            self.available,
        ];
        sum == wide(self.available) && all.iter().all(|figure| *figure >= Money::ZERO)
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("all accounts together hold {0} instead of nothing")]
    Sum(i128),
    #[error("the figures of tenant {0} do not add up: {1:?}")]
    Tenant(TenantId, Totals),
    #[error("tenant {0} has {1} reserved, its open reservations are {2}")]
    OpenReservations(TenantId, Money, i128),
    #[error("the balance of {0:?} is not what its entries sum to")]
    Balance(Account),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CallMoney {
    tenant: TenantId,
    /// None once settled or released.
    open: Option<Money>,
    /// Charged and not refunded.
    charged: Money,
}

/// All postings in the order they happened, with the balances they make.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    journal: Vec<Posting>,
    by_key: HashMap<Key, usize>,
    balances: BTreeMap<Account, Money>,
    totals: BTreeMap<TenantId, Totals>,
    calls: HashMap<CallId, CallMoney>,
}

impl Ledger {
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// From a journal, as after a restart. Postings that are there twice count once.
    pub fn replay<'a>(
        journal: impl IntoIterator<Item = &'a Posting>,
    ) -> Result<Ledger, LedgerError> {
        let mut ledger = Ledger::new();
        for posting in journal {
            ledger.apply(posting.clone())?;
        }
        Ok(ledger)
    }

    /// All or nothing, and at most once: on an error, and on `Already`, nothing has changed.
    pub fn apply(&mut self, posting: Posting) -> Result<Applied, LedgerError> {
        if let Some(index) = self.by_key.get(&posting.key) {
            return if self.journal[*index].same_body(&posting) {
                Ok(Applied::Already)
            } else {
                Err(LedgerError::Conflict(posting.key))
            };
        }
        if !posting.balanced() {
            return Err(LedgerError::Unbalanced(posting.key));
        }
        let call = self.judge(&posting)?;
        let totals = self.totals_after(&posting)?;
        let mut balances = Vec::with_capacity(posting.entries.len());
        for entry in &posting.entries {
            let before = self.balance(entry.account);
            let after = before
                .checked_add(entry.amount)
                .ok_or(LedgerError::Overflow)?;
            balances.push((entry.account, after));
        }
        // Nothing fails from here on.
        self.balances.extend(balances);
        self.totals.insert(posting.tenant, totals);
        if let (Some(id), Some(money)) = (posting.call, call) {
            self.calls.insert(id, money);
        }
        self.by_key.insert(posting.key.clone(), self.journal.len());
        self.journal.push(posting);
        Ok(Applied::New)
    }

    /// Whether its kind may do this now, and what the call's money is afterwards.
    fn judge(&self, posting: &Posting) -> Result<Option<CallMoney>, LedgerError> {
        let shape = || LedgerError::Shape(posting.key.clone());
        let tenant = posting.tenant;
        let available = posting.gained(Account::Available(tenant));
        let known = posting.call.and_then(|call| self.calls.get(&call));
        if !posting.key_fits() || !posting.accounts_fit() {
            return Err(shape());
        }
        match posting.kind {
            Kind::Recharge | Kind::Credit => {
                available.is_positive().then_some(None).ok_or_else(shape)
            }
            Kind::Reserve => {
                let amount = posting.gained(Account::Reserved(tenant));
                if amount < Money::ZERO || known.is_some() {
                    return Err(shape());
                }
                let balance = self.balance(Account::Available(tenant));
                if balance < amount {
                    return Err(LedgerError::Insufficient {
                        available: balance,
                        needed: amount,
                    });
                }
                Ok(Some(CallMoney {
                    tenant,
                    open: Some(amount),
                    charged: Money::ZERO,
                }))
            }
            Kind::Settle | Kind::Release => {
                let call = posting.call.ok_or_else(shape)?;
                let reserved = -posting.gained(Account::Reserved(tenant));
                let open = known
                    .filter(|money| money.tenant == tenant)
                    .and_then(|m| m.open);
                if open != Some(reserved) {
                    return Err(LedgerError::NoReservation(call));
                }
                let charged = posting.gained(Account::Revenue);
                if !(Money::ZERO..=reserved).contains(&charged) {
                    return Err(shape());
                }
                Ok(Some(CallMoney {
                    tenant,
                    open: None,
                    charged,
                }))
            }
            Kind::Refund => {
                let call = posting.call.ok_or_else(shape)?;
                let money = known.filter(|money| money.tenant == tenant);
                let charged = money.map_or(Money::ZERO, |money| money.charged);
                if !available.is_positive() {
                    return Err(shape());
                }
                match money {
                    Some(money) if available <= charged => {
                        let charged = Money(charged.minor() - available.minor());
                        Ok(Some(CallMoney { charged, ..*money }))
                    }
                    _ => Err(LedgerError::RefundTooLarge {
                        call,
                        charged,
                        asked: available,
                    }),
                }
            }
        }
    }

    fn totals_after(&self, posting: &Posting) -> Result<Totals, LedgerError> {
        let mut totals = self.totals(posting.tenant);
        let add = |figure: &mut Money, amount: Money| match figure.checked_add(amount) {
            Some(sum) => {
                *figure = sum;
                Ok(())
            }
            None => Err(LedgerError::Overflow),
        };
        let available = posting.gained(Account::Available(posting.tenant));
        match posting.kind {
            Kind::Recharge => add(&mut totals.deposits, available)?,
            Kind::Credit => add(&mut totals.credits, available)?,
            Kind::Refund => add(&mut totals.refunds, available)?,
            Kind::Settle => add(&mut totals.charges, posting.charged())?,
            Kind::Reserve | Kind::Release => {}
        }
        add(
            &mut totals.reserved,
            posting.gained(Account::Reserved(posting.tenant)),
        )?;
        add(&mut totals.available, available)?;
        Ok(totals)
    }

    pub fn balance(&self, account: Account) -> Money {
        self.balances.get(&account).copied().unwrap_or_default()
    }
    pub fn available(&self, tenant: TenantId) -> Money {
        self.balance(Account::Available(tenant))
    }
    pub fn reserved(&self, tenant: TenantId) -> Money {
        self.balance(Account::Reserved(tenant))
    }
    pub fn totals(&self, tenant: TenantId) -> Totals {
        self.totals.get(&tenant).copied().unwrap_or_default()
    }
    pub fn journal(&self) -> &[Posting] {
        &self.journal
    }
    pub fn get(&self, key: &Key) -> Option<&Posting> {
        self.by_key.get(key).map(|index| &self.journal[*index])
    }

    /// Reservations without an end, with their amounts: after a crash, these are closed first.
    pub fn open_reservations(&self) -> impl Iterator<Item = (CallId, TenantId, Money)> + '_ {
        self.calls
            .iter()
            .filter_map(|(call, money)| money.open.map(|amount| (*call, money.tenant, amount)))
    }

    /// Every invariant, from the journal up.
    pub fn check(&self) -> Result<(), Broken> {
        let mut sums: BTreeMap<Account, i128> = BTreeMap::new();
        for entry in self.journal.iter().flat_map(|posting| &posting.entries) {
            *sums.entry(entry.account).or_default() += i128::from(entry.amount.minor());
        }
        let all: i128 = sums.values().sum();
        if all != 0 {
            return Err(Broken::Sum(all));
        }
        for (account, sum) in &sums {
            if i128::from(self.balance(*account).minor()) != *sum {
                return Err(Broken::Balance(*account));
            }
        }
        for (tenant, totals) in &self.totals {
            let agrees = totals.available == self.available(*tenant)
                && totals.reserved == self.reserved(*tenant);
            if !totals.hold() || !agrees {
                return Err(Broken::Tenant(*tenant, *totals));
            }
            let open = self.open_reservations().filter(|(_, of, _)| of == tenant);
            let open: i128 = open.map(|(_, _, amount)| i128::from(amount.minor())).sum();
            if open != i128::from(totals.reserved.minor()) {
                return Err(Broken::OpenReservations(*tenant, totals.reserved, open));
            }
        }
        Ok(())
    }
}
