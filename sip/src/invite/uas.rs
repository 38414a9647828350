//! Calls placed to us: ringing, answering, refusing; CANCEL; the 200 that is repeated until its ACK.

use super::{
    Calls, Exchange, Farewell, PendingOk, Ringing, State, Usage, capabilities, is_sdp, sdp,
};
use crate::dialog::Dialog;
use crate::event::{Authenticated, Event, Incoming, InviteId};
use crate::flow::Flow;
use crate::headers::Address;
use crate::message::{Essentials, Message, Name};
use crate::transaction::{Due, Layer, ServerKey, response_flow};
use crate::uri::Uri;
use crate::write::{Writer, reason_value};
use bytes::Bytes;
use model::Now;

impl Calls {
    /// Whether this INVITE is another fork of one that is being answered (RFC 3261 §8.2.2.2).
    pub fn is_merged(&self, layer: &Layer, essentials: &Essentials<'_>) -> bool {
        self.merges.contains_key(&merge_key(layer, essentials))
    }

    /// An INVITE that may come in: 100 leaves now, the owner hears of it.
    #[expect(clippy::too_many_arguments)]
    pub fn incoming(
        &mut self,
        layer: &mut Layer,
        now: Now,
        flow: Flow,
        message: &Message,
        essentials: &Essentials<'_>,
        server: ServerKey,
        request_uri: Uri,
        account: Authenticated,
    ) {
        let (Some(from), Some(to)) = (essentials.from.to_name_addr(), essentials.to.to_name_addr())
        else {
            return;
        };
        let back = response_flow(flow, essentials);
        let dialog = Dialog::incoming(layer, back, message, essentials);
        let head = layer.head(message, essentials, flow, Some(dialog.local_tag));
        let mut record_routes = Writer::lines();
        for value in message.all(Name::RecordRoute) {
            record_routes.echo("Record-Route", value);
        }
        let merge_key = merge_key(layer, essentials);
        let id = InviteId(self.next + 1);
        let ringing = Ringing {
            server,
            head,
            record_routes: record_routes.into_block(),
            offered: is_sdp(message) && !message.body().is_empty(),
            timer: layer
                .timers
                .set(now.mono + layer.config.ring_limit, Due::Ring(id)),
            merge_key,
        };
        let state = State::Ringing(Box::new(ringing));
        self.insert(Usage {
            dialog,
            credentials: None,
            state,
            waiting: None,
            placed: false,
            silent: false,
        });
        self.merges.insert(merge_key, id);
        layer.open_server(server, back, id);
        layer.respond(now, server, 100, trying(layer, message, essentials, flow));
        let text = |name| message.text(name);
        layer.emit(Event::Incoming(Box::new(Incoming {
            id,
            account,
            flow: back,
            from,
            to,
            to_user: request_uri.user().into_owned(),
            request_uri,
            call_id: String::from_utf8_lossy(essentials.call_id).into_owned(),
            offer: sdp(message),
            content_type: text(Name::ContentType),
            p_asserted_identity: message
                .list(Name::PAssertedIdentity)
                .find_map(|v| Address::parse(v).and_then(|a| a.to_name_addr())),
            privacy: text(Name::Privacy),
            diversion: text(Name::Diversion),
            user_agent: text(Name::UserAgent),
            max_forwards: message
                .number(Name::MaxForwards)
                .and_then(Result::ok)
                .and_then(|n| u8::try_from(n).ok())
                .unwrap_or(70),
        })));
    }

    /// 180, or 183 with early media.
    pub fn ring(&mut self, layer: &mut Layer, now: Now, id: InviteId, early: Option<Bytes>) {
        let Some(usage) = self.usages.get(&id) else {
            return;
        };
        let State::Ringing(ringing) = &usage.state else {
            return;
        };
        let code = if early.is_some() { 183 } else { 180 };
        let mut w = Writer::response(code, "");
        w.block(&ringing.head).block(&ringing.record_routes);
        w.header("Contact", &layer.contact)
            .header("Allow", super::ALLOW);
        layer.respond(
            now,
            ringing.server,
            code,
            w.finish_sdp(early.as_deref().unwrap_or_default()),
        );
    }

    pub fn answer(&mut self, layer: &mut Layer, now: Now, id: InviteId, sdp: Bytes) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let State::Ringing(ringing) = &usage.state else {
            return;
        };
        let mut w = Writer::response(200, "");
        w.block(&ringing.head).block(&ringing.record_routes);
        capabilities(layer, &mut w);
        let bytes = w.finish_sdp(&sdp);
        let cseq = usage.dialog.remote_cseq.unwrap_or_default();
        layer.respond(now, ringing.server, 200, bytes.clone());
        let ok = PendingOk::new(
            layer,
            now,
            id,
            usage.dialog.flow,
            cseq,
            bytes,
            ringing.offered,
        );
        self.merges.remove(&ringing.merge_key);
        let before = std::mem::replace(&mut usage.state, State::Accepted { ok, farewell: None });
        super::release(layer, before);
    }

    pub fn reject(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        code: u16,
        reason: &str,
        q850: Option<u8>,
    ) {
        let Some(usage) = self.usages.get(&id) else {
            return;
        };
        let State::Ringing(ringing) = &usage.state else {
            return;
        };
        let code = if (300..700).contains(&code) {
            code
        } else {
            500
        };
        let mut w = Writer::response(code, reason);
        w.block(&ringing.head);
        if let Some(value) = reason_value(q850, None, reason) {
            w.header("Reason", value);
        }
        if code == 503 {
            // RFC 3261 §21.5.4: without it a proxy takes us for broken.
            w.header("Retry-After", "5");
        }
        layer.respond(now, ringing.server, code, w.finish());
        self.finish(
            layer,
            id,
            Event::Ended {
                id,
                q850,
                text: reason.to_owned(),
                local: true,
            },
        );
        self.remove(layer, id);
    }

    /// CANCEL of an INVITE whose transaction is ours (RFC 3261 §9.2); the CANCEL itself is answered by the endpoint.
    pub fn cancelled(&mut self, layer: &mut Layer, now: Now, id: InviteId) {
        let Some(usage) = self.usages.get(&id) else {
            return;
        };
        let State::Ringing(ringing) = &usage.state else {
            return;
        };
        let mut w = Writer::response(487, "");
        w.block(&ringing.head);
        layer.respond(now, ringing.server, 487, w.finish());
        self.finish(layer, id, Event::Cancelled { id });
        self.remove(layer, id);
    }

    /// An ACK inside a dialog: to a 2xx of ours, first or repeated.
    pub fn ack(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        message: &Message,
        essentials: &Essentials<'_>,
    ) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let matches = |ok: &PendingOk| ok.cseq == essentials.cseq;
        match &mut usage.state {
            State::Accepted { ok, farewell } if matches(ok) => {
                let (offered, farewell) = (ok.offered, farewell.take());
                let before = std::mem::replace(&mut usage.state, State::Up(Exchange::None));
                super::release(layer, before);
                match farewell {
                    Some(farewell) => self.bye(layer, now, id, farewell),
                    None => layer.emit(Event::Confirmed {
                        id,
                        sdp: if offered { None } else { sdp(message) },
                    }),
                }
            }
            State::Up(Exchange::TheirsAccepted(ok)) if matches(ok) => {
                let offered = ok.offered;
                let before = std::mem::replace(&mut usage.state, State::Up(Exchange::None));
                super::release(layer, before);
                if !offered {
                    layer.emit(Event::Reoffered {
                        id,
                        result: Ok(sdp(message)),
                    });
                }
            }
            _ => {}
        }
    }

    /// T1, doubling up to T2, for 64*T1; then the call is over (RFC 3261 §13.3.1.4).
    pub(super) fn repeat_ok(&mut self, layer: &mut Layer, now: Now, id: InviteId) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let (State::Accepted { ok, .. } | State::Up(Exchange::TheirsAccepted(ok))) =
            &mut usage.state
        else {
            return;
        };
        if ok.give_up_at > now.mono {
            ok.interval = (ok.interval * 2).min(layer.config.t2);
            let at = (now.mono + ok.interval).min(ok.give_up_at);
            ok.timer = layer.timers.set(at, Due::Acknowledge(id));
            layer.send(ok.flow, ok.bytes.clone());
            return;
        }
        let farewell = match &mut usage.state {
            State::Accepted { farewell, .. } => farewell.take(),
            _ => None,
        };
        let text = "No ACK";
        self.finish(
            layer,
            id,
            Event::Ended {
                id,
                q850: None,
                text: text.to_owned(),
                local: true,
            },
        );
        self.bye(
            layer,
            now,
            id,
            farewell.unwrap_or(Farewell {
                q850: None,
                text: text.to_owned(),
            }),
        );
    }
}

impl PendingOk {
    pub(super) fn new(
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        flow: Flow,
        cseq: u32,
        bytes: Bytes,
        offered: bool,
    ) -> PendingOk {
        let t1 = layer.config.t1;
        PendingOk {
            cseq,
            flow,
            bytes,
            interval: t1,
            give_up_at: now.mono + t1 * 64,
            timer: layer.timers.set(now.mono + t1, Due::Acknowledge(id)),
            offered,
        }
    }
}

/// Every response but 100 carries a To tag (RFC 3261 §8.2.6.2); 100 repeats a Timestamp.
pub(super) fn trying(
    layer: &Layer,
    message: &Message,
    essentials: &Essentials<'_>,
    flow: Flow,
) -> Bytes {
    let mut w = Writer::response(100, "");
    w.block(&layer.head(message, essentials, flow, None));
    if let Some(timestamp) = message.first(Name::Timestamp) {
        w.echo("Timestamp", timestamp);
    }
    w.finish()
}

fn merge_key(layer: &Layer, essentials: &Essentials<'_>) -> u64 {
    layer.keyed.digest(&[
        b"merge",
        essentials.call_id,
        essentials.from.tag().unwrap_or_default(),
        &essentials.cseq.to_le_bytes(),
    ])
}
