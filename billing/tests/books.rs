//! The ledger: stories of single calls, then random histories with duplicates, conflicts and crashes.

use billing::*;
use model::*;
use proptest::prelude::*;
use std::collections::HashMap;

const NOON: Wall = Wall::from_millis(1_800_000_000_000);

fn tenant(n: u128) -> TenantId {
    TenantId(model::id::Uuid::from_u128(n))
}
fn call(n: u128) -> CallId {
    CallId(model::id::Uuid::from_u128(n))
}

/// A tenant with a yuan.
fn books() -> Ledger {
    let mut ledger = Ledger::new();
    let recharge = Posting::recharge(tenant(1), "receipt 1", Money(100), NOON).unwrap();
    assert_eq!(ledger.apply(recharge), Ok(Applied::New));
    ledger
}

fn stands(ledger: &Ledger) -> String {
    assert_eq!(ledger.check(), Ok(()));
    let totals = ledger.totals(tenant(1));
    format!(
        "available {} reserved {} charged {}",
        totals.available.0, totals.reserved.0, totals.charges.0
    )
}

#[test]
fn a_call_is_reserved_settled_and_the_rest_comes_back() {
    let mut ledger = books();
    ledger
        .apply(Posting::reserve(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    assert_eq!(stands(&ledger), "available 40 reserved 60 charged 0");
    let settle = Posting::settle(tenant(1), call(1), Money(60), Money(24), NOON);
    assert_eq!(settle.charged(), Money(24));
    ledger.apply(settle).unwrap();
    assert_eq!(stands(&ledger), "available 76 reserved 0 charged 24");
    assert_eq!(ledger.balance(Account::Revenue), Money(24));
    assert_eq!(ledger.balance(Account::External), Money(-100));
}

#[test]
fn an_unanswered_call_costs_nothing_and_leaves_nothing_reserved() {
    let mut ledger = books();
    ledger
        .apply(Posting::reserve(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    ledger
        .apply(Posting::release(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    assert_eq!(stands(&ledger), "available 100 reserved 0 charged 0");
}

#[test]
fn parallel_calls_cannot_spend_the_same_money() {
    let mut ledger = books();
    let mut begun = 0;
    for n in 1..=100 {
        match ledger.apply(Posting::reserve(tenant(1), call(n), Money(30), NOON)) {
            Ok(_) => begun += 1,
            Err(error) => assert_eq!(
                error,
                LedgerError::Insufficient {
                    available: Money(10),
                    needed: Money(30)
                }
            ),
        }
    }
    assert_eq!(begun, 3);
    assert_eq!(stands(&ledger), "available 10 reserved 90 charged 0");
}

#[test]
fn the_same_key_again_changes_nothing_even_later_and_with_another_note() {
    let mut ledger = books();
    let reserve = Posting::reserve(tenant(1), call(1), Money(60), NOON);
    ledger.apply(reserve.clone()).unwrap();
    let mut again = reserve.with_note("after the restart");
    again.at = Wall(NOON.0 + 5_000);
    assert_eq!(ledger.apply(again), Ok(Applied::Already));
    let settle = Posting::settle(tenant(1), call(1), Money(60), Money(24), NOON);
    assert_eq!(ledger.apply(settle.clone()), Ok(Applied::New));
    assert_eq!(ledger.apply(settle), Ok(Applied::Already));
    let receipt = Posting::recharge(tenant(1), "receipt 1", Money(100), NOON).unwrap();
    assert_eq!(ledger.apply(receipt), Ok(Applied::Already));
    assert_eq!(stands(&ledger), "available 76 reserved 0 charged 24");
    assert_eq!(ledger.journal().len(), 3);
}

#[test]
fn the_same_key_with_another_body_is_an_error() {
    let mut ledger = books();
    ledger
        .apply(Posting::reserve(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    ledger
        .apply(Posting::settle(
            tenant(1),
            call(1),
            Money(60),
            Money(24),
            NOON,
        ))
        .unwrap();
    let conflict = |key| Err(LedgerError::Conflict(key));
    let other_charge = Posting::settle(tenant(1), call(1), Money(60), Money(36), NOON);
    assert_eq!(ledger.apply(other_charge), conflict(Key::close(call(1))));
    // The recovery after a crash finds the call settled: no second release.
    let release = Posting::release(tenant(1), call(1), Money(60), NOON);
    assert_eq!(ledger.apply(release), conflict(Key::close(call(1))));
    let other_sum = Posting::recharge(tenant(1), "receipt 1", Money(1_000), NOON).unwrap();
    let key = Key::reference(tenant(1), Kind::Recharge, "receipt 1");
    assert_eq!(ledger.apply(other_sum), conflict(key));
    let more = Posting::reserve(tenant(1), call(1), Money(61), NOON);
    assert_eq!(ledger.apply(more), conflict(Key::open(call(1))));
    assert_eq!(stands(&ledger), "available 76 reserved 0 charged 24");
}

#[test]
fn nothing_is_settled_that_was_not_reserved() {
    let mut ledger = books();
    let none = Err(LedgerError::NoReservation(call(1)));
    assert_eq!(
        ledger.apply(Posting::settle(
            tenant(1),
            call(1),
            Money(9),
            Money(9),
            NOON
        )),
        none
    );
    ledger
        .apply(Posting::reserve(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    // Another amount, another tenant.
    assert_eq!(
        ledger.apply(Posting::release(tenant(1), call(1), Money(61), NOON)),
        none
    );
    assert_eq!(
        ledger.apply(Posting::release(tenant(2), call(1), Money(60), NOON)),
        none
    );
    assert_eq!(stands(&ledger), "available 40 reserved 60 charged 0");
}

#[test]
fn a_charge_touches_only_what_was_reserved() {
    let above = Posting::settle(tenant(1), call(1), Money(60), Money(61), NOON);
    assert_eq!(above.charged(), Money(60));
    let below = Posting::settle(tenant(1), call(1), Money(60), Money(-5), NOON);
    assert_eq!((below.charged(), below.balanced()), (Money(0), true));
}

#[test]
fn a_refund_gives_back_at_most_what_was_charged() {
    let mut ledger = books();
    ledger
        .apply(Posting::reserve(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    let refund = |reference: &str, amount| {
        Posting::refund(tenant(1), call(1), reference, Money(amount), NOON).unwrap()
    };
    let too_large = |charged, asked| {
        let (charged, asked) = (Money(charged), Money(asked));
        Err(LedgerError::RefundTooLarge {
            call: call(1),
            charged,
            asked,
        })
    };
    assert_eq!(ledger.apply(refund("ticket 7", 1)), too_large(0, 1));
    ledger
        .apply(Posting::settle(
            tenant(1),
            call(1),
            Money(60),
            Money(24),
            NOON,
        ))
        .unwrap();
    assert_eq!(ledger.apply(refund("ticket 7", 20)), Ok(Applied::New));
    assert_eq!(ledger.apply(refund("ticket 7", 20)), Ok(Applied::Already));
    assert_eq!(ledger.apply(refund("ticket 8", 5)), too_large(4, 5));
    assert_eq!(ledger.apply(refund("ticket 8", 4)), Ok(Applied::New));
    assert_eq!(stands(&ledger), "available 100 reserved 0 charged 24");
    assert_eq!(ledger.balance(Account::Revenue), Money(0));
}

#[test]
fn tenants_are_strangers() {
    let mut ledger = books();
    ledger
        .apply(Posting::recharge(tenant(2), "receipt 1", Money(7), NOON).unwrap())
        .unwrap();
    assert_eq!(
        ledger.available(tenant(2)),
        Money(7),
        "the same receipt of another tenant"
    );
    let reserve = Posting::reserve(tenant(2), call(1), Money(8), NOON);
    assert!(matches!(
        ledger.apply(reserve),
        Err(LedgerError::Insufficient { .. })
    ));
    assert_eq!(stands(&ledger), "available 100 reserved 0 charged 0");
}

#[test]
fn nothing_and_less_than_nothing_cannot_be_recharged() {
    for amount in [0, -1, i64::MIN + 1] {
        let recharge = Posting::recharge(tenant(1), "r", Money(amount), NOON);
        assert_eq!(recharge, Err(PostingError::NotPositive));
    }
}

#[test]
fn sums_that_would_wrap_are_refused_whole() {
    let mut ledger = books();
    let all = Posting::recharge(tenant(1), "all the money", Money(i64::MAX), NOON).unwrap();
    assert_eq!(ledger.apply(all), Err(LedgerError::Overflow));
    assert_eq!(stands(&ledger), "available 100 reserved 0 charged 0");
    assert_eq!(ledger.journal().len(), 1);
}

#[test]
fn a_posting_bent_by_hand_is_refused() {
    let mut ledger = books();
    ledger
        .apply(Posting::reserve(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    let honest = Posting::settle(tenant(1), call(1), Money(60), Money(24), NOON);
    let mut bent = honest.clone();
    bent.entries[1].amount = Money(25);
    assert!(matches!(
        ledger.apply(bent),
        Err(LedgerError::Unbalanced(_))
    ));
    // Balanced, but the rest goes to a stranger.
    let mut stolen = honest.clone();
    stolen.entries[2].account = Account::Available(tenant(2));
    assert!(matches!(ledger.apply(stolen), Err(LedgerError::Shape(_))));
    // A credit dressed as a recharge.
    let mut dressed = Posting::credit(tenant(1), "gift", Money(5), NOON).unwrap();
    dressed.kind = Kind::Recharge;
    assert!(matches!(ledger.apply(dressed), Err(LedgerError::Shape(_))));
    // Someone else's key.
    let mut borrowed = honest;
    borrowed.key = Key::open(call(2));
    assert!(matches!(ledger.apply(borrowed), Err(LedgerError::Shape(_))));
    assert_eq!(stands(&ledger), "available 40 reserved 60 charged 0");
}

#[test]
fn what_a_crash_left_open_is_found() {
    let mut ledger = books();
    ledger
        .apply(Posting::reserve(tenant(1), call(1), Money(60), NOON))
        .unwrap();
    ledger
        .apply(Posting::reserve(tenant(1), call(2), Money(20), NOON))
        .unwrap();
    ledger
        .apply(Posting::release(tenant(1), call(2), Money(20), NOON))
        .unwrap();
    let restarted = Ledger::replay(ledger.journal()).unwrap();
    let open: Vec<_> = restarted.open_reservations().collect();
    assert_eq!(open, [(call(1), tenant(1), Money(60))]);
}

#[test]
fn a_posting_is_stored_as_it_reads() {
    let settle = Posting::settle(tenant(1), call(1), Money(60), Money(24), NOON).with_note("61 s");
    let json = serde_json::to_value(&settle).unwrap();
    assert_eq!(json["kind"], "settle");
    assert_eq!(json["key"], format!("call/{}/close", call(1)));
    assert_eq!(json["entries"][0]["account"], "reserved");
    assert_eq!(json["entries"][0]["tenant"], tenant(1).to_string());
    assert_eq!(
        json["entries"][1],
        serde_json::json!({"account": "revenue", "amount": 24})
    );
    assert_eq!(serde_json::from_value::<Posting>(json).unwrap(), settle);
    for kind in Kind::ALL {
        assert_eq!(Kind::from_code(kind.code()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.code());
    }
}

/// What may happen, in any order, sensible or not.
#[derive(Clone, Debug)]
enum Step {
    Recharge {
        tenant: u128,
        reference: u8,
        amount: i64,
    },
    Credit {
        tenant: u128,
        reference: u8,
        amount: i64,
    },
    Reserve {
        tenant: u128,
        call: u128,
        amount: i64,
    },
    /// The amounts a node that remembers would use, or wild ones.
    Settle {
        tenant: u128,
        call: u128,
        reserved: Option<i64>,
        charge: i64,
    },
    Release {
        tenant: u128,
        call: u128,
        reserved: Option<i64>,
    },
    Refund {
        tenant: u128,
        call: u128,
        reference: u8,
        amount: i64,
    },
    /// A posting from before once more, as a retry after an unknown commit result.
    Again(usize),
    /// The process dies: what is left is a prefix of the journal; open reservations are released.
    Crash { lost: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let tenant = || 1u128..3;
    let call = || 1u128..12;
    let wild = || prop::option::weighted(0.15, 0i64..80);
    prop_oneof![
        2 => (tenant(), 0u8..6, 1i64..300).prop_map(|(tenant, reference, amount)| Step::Recharge { tenant, reference, amount }),
        1 => (tenant(), 0u8..3, 1i64..50).prop_map(|(tenant, reference, amount)| Step::Credit { tenant, reference, amount }),
        6 => (tenant(), call(), 0i64..80).prop_map(|(tenant, call, amount)| Step::Reserve { tenant, call, amount }),
        4 => (tenant(), call(), wild(), -5i64..100).prop_map(|(tenant, call, reserved, charge)| Step::Settle { tenant, call, reserved, charge }),
        2 => (tenant(), call(), wild()).prop_map(|(tenant, call, reserved)| Step::Release { tenant, call, reserved }),
        2 => (tenant(), call(), 0u8..3, 1i64..40).prop_map(|(tenant, call, reference, amount)| Step::Refund { tenant, call, reference, amount }),
        3 => any::<prop::sample::Index>().prop_map(|index| Step::Again(index.index(1_000))),
        1 => (0usize..4).prop_map(|lost| Step::Crash { lost }),
    ]
}

/// A reading of the journal that shares nothing with the ledger's: one pass, plain sums.
fn recount(journal: &[Posting]) -> HashMap<TenantId, [i64; 6]> {
    let mut figures: HashMap<TenantId, [i64; 6]> = HashMap::new();
    for posting in journal {
        let of = figures.entry(posting.tenant).or_default();
        for entry in &posting.entries {
            match (posting.kind, entry.account) {
                (_, Account::Available(_)) => of[5] += entry.amount.0,
                (_, Account::Reserved(_)) => of[4] += entry.amount.0,
                (Kind::Recharge, Account::External) => of[0] -= entry.amount.0,
                (Kind::Credit, Account::Revenue) => of[1] -= entry.amount.0,
                (Kind::Refund, Account::Revenue) => of[2] -= entry.amount.0,
                (Kind::Settle, Account::Revenue) => of[3] += entry.amount.0,
                (kind, account) => panic!("{kind:?} moved {account:?}"),
            }
        }
    }
    figures
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_books_hold_through_any_history(steps in prop::collection::vec(step(), 1..120)) {
        let mut ledger = Ledger::new();
        for step in steps {
            let before = ledger.journal().to_vec();
            let reserved_of = |id: u128| {
                before.iter().find(|posting| posting.key == Key::open(call(id)))
                    .map_or(0, |posting| posting.gained(Account::Reserved(posting.tenant)).0)
            };
            let posting = match step {
                Step::Recharge { tenant: t, reference, amount } =>
                    Posting::recharge(tenant(t), &reference.to_string(), Money(amount), NOON).unwrap(),
                Step::Credit { tenant: t, reference, amount } =>
                    Posting::credit(tenant(t), &reference.to_string(), Money(amount), NOON).unwrap(),
                Step::Reserve { tenant: t, call: c, amount } =>
                    Posting::reserve(tenant(t), call(c), Money(amount), NOON),
                Step::Settle { tenant: t, call: c, reserved, charge } => {
                    let reserved = Money(reserved.unwrap_or_else(|| reserved_of(c)));
                    Posting::settle(tenant(t), call(c), reserved, Money(charge), NOON)
                }
                Step::Release { tenant: t, call: c, reserved } => {
                    let reserved = Money(reserved.unwrap_or_else(|| reserved_of(c)));
                    Posting::release(tenant(t), call(c), reserved, NOON)
                }
                Step::Refund { tenant: t, call: c, reference, amount } =>
                    Posting::refund(tenant(t), call(c), &reference.to_string(), Money(amount), NOON).unwrap(),
                Step::Again(index) => match before.get(index % before.len().max(1)) {
                    Some(posting) => {
                        let again = posting.clone().with_note("again");
                        prop_assert_eq!(ledger.apply(again), Ok(Applied::Already));
                        prop_assert_eq!(ledger.journal(), &before[..]);
                        continue;
                    }
                    None => continue,
                },
                Step::Crash { lost } => {
                    let kept = before.len().saturating_sub(lost);
                    ledger = Ledger::replay(&before[..kept]).unwrap();
                    prop_assert_eq!(ledger.check(), Ok(()));
                    // The retries of what may have been lost arrive: all of it, from the start.
                    for posting in &before {
                        ledger.apply(posting.clone()).unwrap();
                    }
                    prop_assert_eq!(ledger.journal(), &before[..], "nothing lost, nothing twice");
                    let mut open: Vec<_> = ledger.open_reservations().collect();
                    open.sort();
                    for (call, tenant, amount) in open {
                        ledger.apply(Posting::release(tenant, call, amount, NOON)).unwrap();
                    }
                    prop_assert_eq!(ledger.open_reservations().count(), 0);
                    prop_assert_eq!(ledger.check(), Ok(()));
                    continue;
                }
            };
            let totals: Vec<_> = (1..3).map(|t| ledger.totals(tenant(t))).collect();
            match ledger.apply(posting.clone()) {
                Ok(Applied::New) => {
                    prop_assert_eq!(ledger.journal().len(), before.len() + 1);
                    prop_assert_eq!(&ledger.journal()[..before.len()], &before[..], "it only grows");
                }
                Ok(Applied::Already) | Err(_) => {
                    prop_assert_eq!(ledger.journal(), &before[..]);
                    let now: Vec<_> = (1..3).map(|t| ledger.totals(tenant(t))).collect();
                    prop_assert_eq!(now, totals);
                }
            }
            prop_assert_eq!(ledger.check(), Ok(()));
            for (tenant, figures) in recount(ledger.journal()) {
                let t = ledger.totals(tenant);
                let told = [t.deposits, t.credits, t.refunds, t.charges, t.reserved, t.available];
                prop_assert_eq!(told.map(|figure| figure.0), figures);
                prop_assert!(figures[5] >= 0 && figures[4] >= 0, "never overspent");
                prop_assert_eq!(figures[0] + figures[1] + figures[2] - figures[3] - figures[4], figures[5]);
            }
            // At most one charge per call, never above its reservation.
            let mut charged: HashMap<CallId, Money> = HashMap::new();
            for posting in ledger.journal().iter().filter(|posting| posting.kind == Kind::Settle) {
                let call = posting.call.unwrap();
                prop_assert!(charged.insert(call, posting.charged()).is_none());
                let open = ledger.get(&Key::open(call)).unwrap();
                prop_assert!(posting.charged() <= open.gained(Account::Reserved(posting.tenant)));
            }
        }
    }
}
