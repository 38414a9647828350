//! Other people's registrations with us (RFC 3261 §10.3): bindings by address of record, their expiry.
//!
//! A binding keeps the flow its REGISTER came over; requests to it leave there, so a device behind a translation is reached.

use crate::chance::Keyed;
use crate::config::Config;
use crate::event::{Event, RejectReason};
use crate::flow::Flow;
use crate::headers::{self, Address};
use crate::message::{Essentials, Message, Name};
use crate::timers::{TimerId, Timers};
use crate::uri::{Scheme, Uri};
use model::{Mono, Now, Wall};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// One contact of one address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub aor: String,
    /// The authentication user who registered it.
    pub username: String,
    /// As the device wrote it: the Request-URI of requests to it.
    pub contact: Uri,
    /// Where the REGISTER came from: requests to this contact leave here, whatever the contact says (NAT).
    pub flow: Flow,
    pub expires_at: Wall,
    /// Preference, 0 to 1000 (RFC 3261 §20.10, in thousandths).
    pub q: u16,
    pub user_agent: String,
    pub call_id: String,
    pub cseq: u32,
}

/// Why a REGISTER is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a contact is malformed")]
    MalformedContact,
    #[error("a contact points somewhere it may not")]
    ForbiddenContact,
    #[error("`*` stands alone and with Expires: 0, or not at all")]
    Star,
    #[error("the interval is too brief")]
    TooBrief,
    #[error("the request is older than what it would change")]
    OutOfOrder,
    #[error("more contacts than allowed")]
    TooMany,
}

impl Refusal {
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Refusal::MalformedContact => (400, "Malformed Contact"),
            Refusal::Star => (400, "Invalid Use of *"),
            Refusal::ForbiddenContact => (403, "Contact Not Allowed"),
            Refusal::TooBrief => (423, "Interval Too Brief"),
            Refusal::OutOfOrder => (500, "Out of Order"),
            Refusal::TooMany => (403, "Too Many Contacts"),
        }
    }
    pub fn reason(self) -> RejectReason {
        match self {
            Refusal::MalformedContact | Refusal::Star | Refusal::ForbiddenContact => {
                RejectReason::BadContact
            }
            Refusal::TooBrief => RejectReason::IntervalTooBrief,
            Refusal::OutOfOrder => RejectReason::OutOfOrder,
            Refusal::TooMany => RejectReason::TooManyContacts,
        }
    }
}

struct Bound {
    binding: Binding,
    expires: Mono,
}

struct Aor {
    bound: Vec<Bound>,
    /// At the first expiry.
    timer: TimerId,
}

/// One contact of a REGISTER, judged.
struct Wish {
    contact: Uri,
    expires: Duration,
    q: u16,
}

pub(crate) struct Registrar {
    aors: HashMap<String, Aor, Keyed>,
    timers: Timers<String>,
}

impl Registrar {
    pub fn new(hasher: Keyed) -> Registrar {
        Registrar {
            aors: HashMap::with_hasher(hasher),
            timers: Timers::new(hasher),
        }
    }

    /// Carries an authenticated REGISTER out, all of it or nothing.
    #[expect(clippy::too_many_arguments)]
    pub fn register(
        &mut self,
        now: Now,
        config: &Config,
        aor: &str,
        username: &str,
        flow: Flow,
        message: &Message,
        essentials: &Essentials<'_>,
        events: &mut impl Extend<Event>,
    ) -> Result<(), Refusal> {
        let call_id = String::from_utf8_lossy(essentials.call_id);
        let wishes = match wishes(config, flow, message)? {
            Wishes::None => return Ok(()),
            Wishes::RemoveAll => {
                let bound = self
                    .aors
                    .get(aor)
                    .map(|a| a.bound.as_slice())
                    .unwrap_or_default();
                if bound
                    .iter()
                    .any(|b| b.binding.call_id == call_id && b.binding.cseq >= essentials.cseq)
                {
                    return Err(Refusal::OutOfOrder);
                }
                if let Some(gone) = self.remove(aor) {
                    events.extend(gone.bound.into_iter().map(|b| Event::Unregistered {
                        aor: aor.to_owned(),
                        contact: b.binding.contact,
                    }));
                }
                return Ok(());
            }
            Wishes::Some(wishes) => wishes,
        };
        let before = self
            .aors
            .get(aor)
            .map(|a| a.bound.as_slice())
            .unwrap_or_default();
        let mut count = before.iter().filter(|b| b.expires > now.mono).count();
        for wish in &wishes {
            match before
                .iter()
                .find(|b| b.binding.contact.same_place(&wish.contact))
            {
                // §10.3 step 7: CSeq orders requests of one Call-ID.
                Some(b) if b.binding.call_id == call_id && b.binding.cseq >= essentials.cseq => {
                    return Err(Refusal::OutOfOrder);
                }
                Some(_) => count -= usize::from(wish.expires.is_zero()),
                None => count += usize::from(!wish.expires.is_zero()),
            }
        }
        if count > config.max_contacts && wishes.iter().any(|w| !w.expires.is_zero()) {
            return Err(Refusal::TooMany);
        }
        let user_agent = message.text(Name::UserAgent).unwrap_or_default();
        let mut bound = self.remove(aor).map(|a| a.bound).unwrap_or_default();
        for wish in wishes {
            let index = bound
                .iter()
                .position(|b| b.binding.contact.same_place(&wish.contact));
            if wish.expires.is_zero() {
                if let Some(index) = index {
                    let contact = bound.remove(index).binding.contact;
                    events.extend([Event::Unregistered {
                        aor: aor.to_owned(),
                        contact,
                    }]);
                }
                continue;
            }
            if let Some(index) = index {
                bound.remove(index);
            }
            let binding = Binding {
                aor: aor.to_owned(),
                username: username.to_owned(),
                contact: wish.contact,
                flow,
                expires_at: now.wall + wish.expires,
                q: wish.q,
                user_agent: user_agent.clone(),
                call_id: call_id.clone().into_owned(),
                cseq: essentials.cseq,
            };
            events.extend([Event::Registered {
                aor: aor.to_owned(),
                binding: Box::new(binding.clone()),
                refreshed: index.is_some(),
            }]);
            bound.insert(
                0,
                Bound {
                    binding,
                    expires: now.mono + wish.expires,
                },
            );
        }
        self.insert(aor, bound);
        Ok(())
    }

    /// Takes the AOR out; its timer with it.
    fn remove(&mut self, aor: &str) -> Option<Aor> {
        let gone = self.aors.remove(aor)?;
        self.timers.cancel(gone.timer);
        Some(gone)
    }

    fn insert(&mut self, aor: &str, mut bound: Vec<Bound>) {
        // The newest first among equal preferences: `bindings` reads in this order.
        bound.sort_by_key(|b| std::cmp::Reverse((b.binding.q, b.binding.expires_at)));
        let Some(first) = bound.iter().map(|b| b.expires).min() else {
            return;
        };
        let timer = self.timers.set(first, aor.to_owned());
        self.aors.insert(aor.to_owned(), Aor { bound, timer });
    }

    pub fn expire(&mut self, now: Now, events: &mut impl Extend<Event>) {
        while let Some(aor) = self.timers.pop_due(now.mono) {
            let Some(entry) = self.aors.remove(&aor) else {
                continue;
            };
            let (gone, live): (Vec<_>, Vec<_>) =
                entry.bound.into_iter().partition(|b| b.expires <= now.mono);
            let aor_name = aor.clone();
            events.extend(gone.into_iter().map(|b| Event::Expired {
                aor: aor_name.clone(),
                contact: b.binding.contact,
            }));
            self.insert(&aor, live);
        }
    }

    pub fn next_deadline(&self) -> Option<Mono> {
        self.timers.next()
    }

    pub fn bindings(&self, aor: &str, now: Now) -> impl Iterator<Item = &Binding> {
        let bound = self
            .aors
            .get(aor)
            .map(|a| a.bound.as_slice())
            .unwrap_or_default();
        bound
            .iter()
            .filter(move |b| b.expires > now.mono)
            .map(|b| &b.binding)
    }

    /// AORs with a binding.
    pub fn devices(&self) -> usize {
        self.aors.len()
    }

    pub fn restore(&mut self, now: Now, bindings: Vec<Binding>) {
        for binding in bindings {
            let left = binding.expires_at.since(now.wall);
            if left.is_zero() {
                continue;
            }
            let aor = binding.aor.clone();
            let mut bound = self.remove(&aor).map(|a| a.bound).unwrap_or_default();
            bound.retain(|b| !b.binding.contact.same_place(&binding.contact));
            bound.push(Bound {
                binding,
                expires: now.mono + left,
            });
            self.insert(&aor, bound);
        }
    }

    pub fn drop_bindings(&mut self, aor: &str) {
        self.remove(aor);
    }
}

enum Wishes {
    /// A query.
    None,
    RemoveAll,
    Some(Vec<Wish>),
}

fn wishes(config: &Config, flow: Flow, message: &Message) -> Result<Wishes, Refusal> {
    let header = message.first(Name::Expires);
    let mut wishes: Vec<Wish> = Vec::new();
    let mut star = false;
    for value in message.list(Name::Contact) {
        if value == b"*" {
            star = true;
            continue;
        }
        if wishes.len() > config.max_contacts {
            return Err(Refusal::TooMany);
        }
        let address = Address::parse(value).ok_or(Refusal::MalformedContact)?;
        let contact = Uri::parse(address.uri).map_err(|_| Refusal::MalformedContact)?;
        if contact.scheme() == Scheme::Tel || !contact.headers().is_empty() {
            return Err(Refusal::MalformedContact);
        }
        // §10.2.1.1: malformed values count as the default.
        let expires = match address.params.value("expires").or(header) {
            None => config.default_expires,
            Some(text) => headers::number(text)
                .map_or(config.default_expires, |s| Duration::from_secs(s.into())),
        };
        if !expires.is_zero() {
            if !allowed(config, flow, &contact) {
                return Err(Refusal::ForbiddenContact);
            }
            if expires < config.min_expires {
                return Err(Refusal::TooBrief);
            }
        }
        let q = match address.params.value("q") {
            None => 1000,
            Some(text) => headers::qvalue(text).ok_or(Refusal::MalformedContact)?,
        };
        wishes.retain(|w| !w.contact.same_place(&contact));
        wishes.push(Wish {
            contact,
            expires: expires.min(config.max_expires),
            q,
        });
    }
    if star {
        let zero = header.and_then(headers::number) == Some(0);
        return if zero && wishes.is_empty() {
            Ok(Wishes::RemoveAll)
        } else {
            Err(Refusal::Star)
        };
    }
    Ok(if wishes.is_empty() {
        Wishes::None
    } else {
        Wishes::Some(wishes)
    })
}

/// Nobody may make us call ourselves, a group, or (from outside) this machine.
fn allowed(config: &Config, flow: Flow, contact: &Uri) -> bool {
    let Ok(ip) = contact
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    else {
        return true;
    };
    let port = contact.port().unwrap_or(5060);
    let ours = |a: std::net::SocketAddr| a.ip() == ip && a.port() == port;
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_multicast()
        || ip.is_unspecified()
        || broadcast
        || ours(config.advertised)
        || ours(flow.local)
        || (ip.is_loopback() && !flow.remote.ip().is_loopback()))
}
