//! What calls cost, and where the money stands.
//!
//! Map: `rate` (the price of talking) · `reservation` (what is set aside before a call, and how long that lasts) · `ledger`
//! (double entry: postings that sum to zero, applied at most once).
//!
//! A call: `quote` → `Posting::reserve`, committed with the attempt before the INVITE leaves → the call is cut when
//! `Reservation::covers` is used up → `Reservation::owed` → `Posting::settle`, which releases the rest.
//!
//! Invariant: integers in the currency's smallest unit; nothing wraps, nothing is rounded in the house's favour but by whole
//! started intervals; no SQL, no clock.

pub mod ledger;
pub mod rate;
pub mod reservation;

pub use ledger::{
    Account, Applied, Broken, Entry, Key, Kind, Ledger, LedgerError, Posting, PostingError, Totals,
};
pub use rate::{Rate, RateError, charge};
pub use reservation::{Refused, Reservation, quote};
