//! Our own registrations with other registrars: kept up, answered when challenged, tried again when lost.

use crate::account::Credentials;
use crate::auth::Answerer;
use crate::chance::{Keyed, hex16};
use crate::event::{Event, RegistrationId};
use crate::flow::Flow;
use crate::headers::{Address, number};
use crate::message::{Message, Method, Name};
use crate::timers::TimerId;
use crate::transaction::{Due, Layer, Owner};
use crate::uri::Uri;
use crate::write::{name_addr, phrase};
use bytes::Bytes;
use model::Now;
use std::collections::HashMap;
use std::time::Duration;

/// Between attempts while the registrar does not answer or refuses for now.
const RETRY: Duration = Duration::from_secs(30);

/// A registration to keep up.
#[derive(Clone, Debug)]
pub struct Registration {
    pub flow: Flow,
    /// Request-URI: the registrar's domain, without a user.
    pub registrar: Uri,
    pub aor: Uri,
    /// The user of our Contact.
    pub contact_user: String,
    pub credentials: Option<Credentials>,
    pub expires: Duration,
}

struct Client {
    plan: Registration,
    call_id: Bytes,
    tag: u64,
    cseq: u32,
    contact: String,
    expires: Duration,
    /// The last challenge; its nonce serves until the registrar says otherwise.
    answerer: Option<Answerer>,
    /// Credentials sent for the request under way, and how often.
    challenges: u8,
    state: State,
    timer: Option<TimerId>,
    /// A REGISTER is out; whether it asks for removal.
    waiting: bool,
    sent_zero: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Up,
    Leaving,
}

pub(crate) struct Registrations {
    clients: HashMap<RegistrationId, Client, Keyed>,
    next: u64,
}

impl Registrations {
    pub fn new(hasher: Keyed) -> Registrations {
        Registrations {
            clients: HashMap::with_hasher(hasher),
            next: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    pub fn register(&mut self, layer: &mut Layer, now: Now, plan: Registration) -> RegistrationId {
        self.next += 1;
        let id = RegistrationId(self.next);
        let port = layer.config.advertised.port();
        let host = layer.config.advertised.ip().to_string();
        let contact = Uri::sip(&plan.contact_user, &host, Some(port));
        let client = Client {
            call_id: Bytes::from(layer.chance.call_id()),
            tag: layer.chance.word(),
            cseq: 0,
            contact: contact.map_or_else(|_| layer.contact.clone(), |uri| format!("<{uri}>")),
            expires: plan.expires,
            plan,
            answerer: None,
            challenges: 0,
            state: State::Down,
            timer: None,
            waiting: false,
            sent_zero: false,
        };
        self.clients
            .entry(id)
            .or_insert(client)
            .send(layer, now, id);
        id
    }

    pub fn unregister(&mut self, layer: &mut Layer, now: Now, id: RegistrationId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.state = State::Leaving;
        client.challenges = 0;
        if let Some(timer) = client.timer.take() {
            layer.timers.cancel(timer);
        }
        // While a REGISTER is out the next waits for its answer (RFC 3261 §10.2).
        if !client.waiting {
            client.send(layer, now, id);
        }
    }

    pub fn due(&mut self, layer: &mut Layer, now: Now, id: RegistrationId) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.timer = None;
            client.challenges = 0;
            client.send(layer, now, id);
        }
    }

    pub fn failed(&mut self, layer: &mut Layer, now: Now, id: RegistrationId, code: u16) {
        self.lost(layer, now, id, code, phrase(code).to_owned(), true);
    }

    fn lost(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: RegistrationId,
        code: u16,
        reason: String,
        again: bool,
    ) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.waiting = false;
        if client.state == State::Leaving {
            self.clients.remove(&id);
            return;
        }
        client.state = State::Down;
        layer.emit(Event::RegistrationDown { id, code, reason });
        if again {
            let jitter = Duration::from_millis(layer.chance.below(5000));
            client.timer = Some(
                layer
                    .timers
                    .set(now.mono + RETRY + jitter, Due::Registration(id)),
            );
        } else {
            self.clients.remove(&id);
        }
    }

    pub fn response(&mut self, layer: &mut Layer, now: Now, id: RegistrationId, message: &Message) {
        let code = message.status().unwrap_or(500);
        let Some(client) = self.clients.get_mut(&id).filter(|_| code >= 200) else {
            return;
        };
        client.waiting = false;
        let sent_zero = client.sent_zero;
        match code {
            200..300 => {
                client.challenges = 0;
                if client.state == State::Leaving {
                    if sent_zero {
                        self.clients.remove(&id);
                    } else {
                        client.send(layer, now, id);
                    }
                    return;
                }
                let granted = client.granted(message);
                if client.state != State::Up {
                    client.state = State::Up;
                    layer.emit(Event::RegistrationUp {
                        id,
                        expires: granted,
                    });
                }
                // Early enough for a second attempt before it lapses.
                let wait = (granted * 9 / 10).min(granted.saturating_sub(Duration::from_secs(5)));
                let at = now.mono + wait.max(Duration::from_secs(1));
                client.timer = Some(layer.timers.set(at, Due::Registration(id)));
            }
            401 | 407 if client.challenges < 2 => {
                let name = if code == 407 {
                    Name::ProxyAuthenticate
                } else {
                    Name::WwwAuthenticate
                };
                let choose = |c: &Credentials| Answerer::choose(message.all(name), code == 407, c);
                match client.plan.credentials.as_ref().and_then(choose) {
                    Some(answerer) => {
                        client.answerer = Some(answerer);
                        client.challenges += 1;
                        client.send(layer, now, id);
                    }
                    None => self.refused(layer, now, id, message, code, false),
                }
            }
            423 => match message.number(Name::MinExpires) {
                Some(Ok(min))
                    if Duration::from_secs(min.into()) > client.expires && min <= 86_400 =>
                {
                    client.expires = Duration::from_secs(min.into());
                    client.send(layer, now, id);
                }
                _ => self.refused(layer, now, id, message, code, false),
            },
            _ => self.refused(
                layer,
                now,
                id,
                message,
                code,
                !matches!(code, 401 | 403 | 407),
            ),
        }
    }

    fn refused(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: RegistrationId,
        message: &Message,
        code: u16,
        again: bool,
    ) {
        let reason = String::from_utf8_lossy(message.reason_phrase()).into_owned();
        self.lost(layer, now, id, code, reason, again);
    }
}

impl Client {
    fn send(&mut self, layer: &mut Layer, now: Now, id: RegistrationId) {
        let branch = layer.branch();
        self.cseq += 1;
        self.waiting = true;
        self.sent_zero = self.state == State::Leaving;
        let uri = self.plan.registrar.without_headers().to_owned();
        let mut w = layer.request(self.plan.flow, "REGISTER", &uri, branch, 70);
        let aor = name_addr(b"", self.plan.aor.without_headers());
        w.parts("From", &[&aor, b";tag=", &hex16(self.tag)])
            .header("To", &aor);
        w.header("Call-ID", &self.call_id);
        w.parts("CSeq", &[self.cseq.to_string().as_bytes(), b" REGISTER"]);
        w.header("Contact", &self.contact);
        let expires = if self.sent_zero {
            Duration::ZERO
        } else {
            self.expires
        };
        w.number("Expires", expires.as_secs().min(u64::from(u32::MAX)) as u32);
        w.header("User-Agent", &layer.config.user_agent);
        if let (Some(answerer), Some(credentials)) = (&mut self.answerer, &self.plan.credentials) {
            let cnonce = hex16(layer.chance.word());
            answerer.write(&mut w, "REGISTER", &uri, credentials, &cnonce);
        }
        layer.start(
            now,
            self.plan.flow,
            branch,
            Method::Register,
            w.finish(),
            Owner::Registration(id),
        );
    }

    /// What the registrar granted our contact; what we asked for when it does not say.
    fn granted(&self, message: &Message) -> Duration {
        let ours = Address::parse(self.contact.as_bytes()).and_then(|a| Uri::parse(a.uri).ok());
        let of_contact = message
            .list(Name::Contact)
            .filter_map(Address::parse)
            .find_map(|a| {
                let uri = Uri::parse(a.uri).ok()?;
                ours.as_ref().filter(|ours| ours.same_place(&uri))?;
                number(a.params.value("expires")?)
            });
        let header = || message.number(Name::Expires).and_then(Result::ok);
        of_contact
            .or_else(header)
            .map_or(self.expires, |s| Duration::from_secs(s.into()))
    }
}
