//! From a datagram to whoever it concerns, in the order of RFC 3261 §8.2 and §17.2.3: syntax, transaction, dialog,
//! method, extensions, hops; then who is asking.

use super::Endpoint;
use crate::account::Accounts;
use crate::auth::Verdict;
use crate::config::DigestOffer;
use crate::event::{Authenticated, RejectReason};
use crate::flow::Flow;
use crate::message::{Essentials, Fault, Message, Method, Name};
use crate::transaction::{ALLOW, Outcome, Owner, response_flow};
use crate::uri::{Uri, UriError};
use crate::write::Writer;
use bytes::Bytes;
use model::Now;

impl Endpoint {
    pub(super) fn datagram(&mut self, now: Now, flow: Flow, bytes: &[u8], accounts: &dyn Accounts) {
        // Keep-alives, noise, other protocols: not worth an answer.
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        match (message.essentials(), message.fault()) {
            (Ok(essentials), None) if message.is_request() => {
                self.request(now, flow, &message, &essentials, accounts)
            }
            (Ok(essentials), None) => self.response(now, flow, &message, &essentials),
            (_, Some(fault)) | (Err(fault), None) => self.malformed(flow, &message, fault),
        }
    }

    /// 400 or 505, where the request has what a response must repeat (RFC 3261 §8.1.3.3 drops responses).
    fn malformed(&mut self, flow: Flow, message: &Message, fault: Fault) {
        if !message.is_request() || message.method() == Some(Method::Ack) {
            return;
        }
        let readable = |name: Name| message.first(name).filter(|v| !v.is_empty());
        let Some(via) = readable(Name::Via) else {
            return;
        };
        let Some(via) = crate::headers::Via::parse(via) else {
            return;
        };
        let mut w = Writer::response(fault.code, fault.reason);
        for (index, value) in message.all(Name::Via).enumerate() {
            if index == 0 && !via.wants_rport() && via.ip() != Some(flow.remote.ip()) {
                w.parts(
                    "Via",
                    &[value, format!(";received={}", flow.remote.ip()).as_bytes()],
                );
            } else {
                w.echo("Via", value);
            }
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            match readable(name) {
                Some(value) => w.echo(name.written(), value),
                None => return,
            };
        }
        self.layer.send(flow, w.finish());
    }

    fn response(&mut self, now: Now, flow: Flow, message: &Message, essentials: &Essentials<'_>) {
        let Some(key) = self.layer.match_response(flow, message, essentials) else {
            return;
        };
        match self.layer.response(now, key, message, essentials) {
            Outcome::Response(Owner::Registration(id), _) => {
                self.registrations
                    .response(&mut self.layer, now, id, message);
            }
            Outcome::Response(owner, key) => {
                self.calls
                    .response(&mut self.layer, now, owner, key, message, essentials);
            }
            Outcome::Fork(key) => {
                self.calls
                    .refuse_fork(&mut self.layer, now, key, message, essentials)
            }
            Outcome::Absorbed => {}
        }
    }

    fn request(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        e: &Essentials<'_>,
        accounts: &dyn Accounts,
    ) {
        let method = message.method().unwrap_or(Method::Other);
        match method {
            Method::Ack => return self.ack(now, message, e),
            Method::Cancel => return self.cancel(now, flow, message, e),
            _ => {}
        }
        let server = self.layer.server_key(message, e, message.method_token());
        if self.layer.retransmission(server) {
            return;
        }
        if self.layer.servers_full() {
            return self.stateless(flow, message, e, 503, &[("Retry-After", "5")]);
        }
        if e.to.tag().is_some() {
            return match self.calls.find(e) {
                Some(id) => self
                    .calls
                    .inside(&mut self.layer, now, flow, id, message, e),
                None => self.stateless(flow, message, e, 481, &[]),
            };
        }
        match method {
            Method::Invite => self.invited(now, flow, message, e, accounts),
            Method::Register => self.registered(now, flow, message, e, accounts),
            Method::Options => self.options(now, flow, message, e),
            // Only sensible inside a dialog.
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify => {
                self.stateless(flow, message, e, 481, &[]);
            }
            Method::Other => self.stateless(flow, message, e, 501, &[("Allow", ALLOW)]),
            _ => self.stateless(flow, message, e, 405, &[("Allow", ALLOW)]),
        }
    }

    /// To a refusal of ours by transaction, to a 2xx by dialog; any other (to a challenge, late, forged) is absorbed.
    fn ack(&mut self, now: Now, message: &Message, e: &Essentials<'_>) {
        let key = self
            .layer
            .server_key(message, e, Method::Invite.token().as_bytes());
        if !self.layer.server_ack(now, key)
            && let Some(id) = self.calls.find(e)
        {
            self.calls.ack(&mut self.layer, now, id, message, e);
        }
    }

    /// RFC 3261 §9.2. Never challenged (§22.1): it must come from where its INVITE did, by branch and sent-by.
    fn cancel(&mut self, now: Now, flow: Flow, message: &Message, e: &Essentials<'_>) {
        let server = self.layer.server_key(message, e, message.method_token());
        if self.layer.retransmission(server) {
            return;
        }
        let invite = self
            .layer
            .server_key(message, e, Method::Invite.token().as_bytes());
        if !self.layer.has_server(invite) {
            return self.stateless(flow, message, e, 481, &[]);
        }
        let owner = self.layer.server_owner(invite);
        let tag = self.layer.stateless_tag(e);
        let mut w = Writer::response(200, "");
        w.block(&self.layer.head(message, e, flow, Some(tag)));
        let back = response_flow(flow, e);
        self.layer
            .answer_now(now, server, back, Method::Cancel, 200, w.finish());
        if let Some(id) = owner {
            self.calls.cancelled(&mut self.layer, now, id);
        }
    }

    /// A response that leaves nothing behind; the request's retransmission gets the same again.
    pub(super) fn stateless(
        &mut self,
        flow: Flow,
        message: &Message,
        e: &Essentials<'_>,
        code: u16,
        extra: &[(&str, &str)],
    ) {
        let bytes = self.compose(flow, message, e, code, "", extra);
        self.layer.send(response_flow(flow, e), bytes);
    }

    pub(super) fn compose(
        &self,
        flow: Flow,
        message: &Message,
        e: &Essentials<'_>,
        code: u16,
        reason: &str,
        extra: &[(&str, &str)],
    ) -> Bytes {
        let mut w = Writer::response(code, reason);
        w.block(
            &self
                .layer
                .head(message, e, flow, Some(self.layer.stateless_tag(e))),
        );
        for (name, value) in extra {
            w.header(name, value);
        }
        w.finish()
    }

    /// 401 or 407 without a trace here: no 100, no transaction, no retransmission. At most twice what was sent where one
    /// algorithm's challenge fits into that, since the source may be somebody's victim.
    pub(super) fn challenge(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        e: &Essentials<'_>,
        stale: bool,
    ) {
        let proxy = message.method() != Some(Method::Register);
        let code = if proxy { 407 } else { 401 };
        let realm = self.layer.config.realm.clone();
        let head = self
            .layer
            .head(message, e, flow, Some(self.layer.stateless_tag(e)));
        let write = |lines: &[u8]| {
            let mut w = Writer::response(code, "");
            w.block(&head).block(lines);
            w.finish()
        };
        let both = match &self.layer.config.digests {
            DigestOffer::Md5 => false,
            DigestOffer::Both => true,
            DigestOffer::BothTo(agents) => message
                .first(Name::UserAgent)
                .is_some_and(|agent| agents.iter().any(|a| agent.starts_with(a.as_bytes()))),
        };
        let mut bytes = write(&self.auth.challenge(now.wall, &realm, proxy, stale, both));
        if both && bytes.len() > 2 * message.len() {
            bytes = write(&self.auth.challenge(now.wall, &realm, proxy, stale, false));
        }
        self.layer.send(response_flow(flow, e), bytes);
    }

    fn options(&mut self, now: Now, flow: Flow, message: &Message, e: &Essentials<'_>) {
        if !self.throttle.allow(now.mono, flow.remote.ip()) {
            return;
        }
        if let Some((code, name, value)) = self.objection(message) {
            return self.stateless(flow, message, e, code, &[(name, &value)]);
        }
        self.stateless(
            flow,
            message,
            e,
            200,
            &[
                ("Allow", ALLOW),
                ("Accept", "application/sdp"),
                ("Supported", ""),
            ],
        );
    }

    /// What the request demands that we cannot give: status, and the header that says so.
    pub(super) fn objection(&self, message: &Message) -> Option<(u16, &'static str, String)> {
        let uri = std::str::from_utf8(message.request_uri()).unwrap_or_default();
        match Uri::parse(uri) {
            Err(UriError::Scheme) => return Some((416, "Accept", "application/sdp".to_owned())),
            Err(_) => {
                return Some((
                    400,
                    "Warning",
                    "399 huying \"Malformed Request-URI\"".to_owned(),
                ));
            }
            // RFC 3261 §19.1.1: headers have no place in a Request-URI.
            Ok(uri) if !uri.headers().is_empty() => {
                return Some((
                    400,
                    "Warning",
                    "399 huying \"Headers in Request-URI\"".to_owned(),
                ));
            }
            Ok(_) => {}
        }
        // We support no extension that a Require could name.
        let required: Vec<_> = message
            .list(Name::Require)
            .map(String::from_utf8_lossy)
            .collect();
        if !required.is_empty() {
            return Some((420, "Unsupported", required.join(", ")));
        }
        if message
            .number(Name::MaxForwards)
            .is_some_and(|n| !n.is_ok_and(|n| n <= 255))
        {
            return Some((
                400,
                "Warning",
                "399 huying \"Malformed Max-Forwards\"".to_owned(),
            ));
        }
        None
    }

    fn invited(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        e: &Essentials<'_>,
        accounts: &dyn Accounts,
    ) {
        if let Some((code, name, value)) = self.objection(message) {
            return self.stateless(flow, message, e, code, &[(name, &value)]);
        }
        // We forward calls, if as two of them, so hops count (RFC 3261 §16.3).
        if message.number(Name::MaxForwards) == Some(Ok(0)) {
            return self.stateless(flow, message, e, 483, &[]);
        }
        let parsed = std::str::from_utf8(message.request_uri())
            .ok()
            .and_then(|text| Uri::parse(text).ok());
        let (Some(request_uri), true) = (
            parsed,
            e.from.to_name_addr().is_some() && e.to.to_name_addr().is_some(),
        ) else {
            return self.stateless(flow, message, e, 400, &[]);
        };
        // Before authentication: a forked request carries the same nonce count on every path.
        if self.calls.is_merged(&self.layer, e) {
            return self.stateless(flow, message, e, 482, &[]);
        }
        let method = message.method_token();
        let account = match accounts.trusted(flow) {
            Some(account) => account,
            None => {
                let realm = self.layer.config.realm.clone();
                let credentials = message
                    .all(Name::ProxyAuthorization)
                    .chain(message.all(Name::Authorization));
                let uri = message.request_uri();
                match self
                    .auth
                    .verify(now.wall, &realm, method, uri, credentials, accounts)
                {
                    Verdict::Accepted(account) => account,
                    Verdict::Challenge { stale, .. } => {
                        return self.challenge(now, flow, message, e, stale);
                    }
                    Verdict::Refused { .. } => return self.stateless(flow, message, e, 403, &[]),
                }
            }
        };
        if !message.body().is_empty() && !acceptable(message) {
            return self.stateless(
                flow,
                message,
                e,
                415,
                &[("Accept", "application/sdp"), ("Accept-Encoding", "")],
            );
        }
        if self.calls.len() >= self.layer.config.max_invites {
            return self.stateless(flow, message, e, 503, &[("Retry-After", "5")]);
        }
        let server = self.layer.server_key(message, e, method);
        let account = Authenticated {
            username: account.username.clone(),
            aor: account.aor.clone(),
        };
        self.calls.incoming(
            &mut self.layer,
            now,
            flow,
            message,
            e,
            server,
            request_uri,
            account,
        );
    }

    pub(super) fn rejected(&mut self, flow: Flow, username: String, reason: RejectReason) {
        self.layer.emit(crate::event::Event::RegistrationRejected {
            username,
            reason,
            remote: flow.remote,
        });
    }
}

/// SDP, not encoded further.
fn acceptable(message: &Message) -> bool {
    let plain = message
        .list(Name::ContentEncoding)
        .all(|v| v.eq_ignore_ascii_case(b"identity"));
    plain
        && message.first(Name::ContentType).is_some_and(|value| {
            let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
            value[..end]
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/sdp")
        })
}
