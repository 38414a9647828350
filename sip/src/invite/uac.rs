//! Calls we place: INVITE, challenges, early media, CANCEL, 200 and its ACK, forks.

use super::{Calling, Calls, Exchange, Farewell, Invite, State, Usage, capabilities, sdp};
use crate::account::Credentials;
use crate::auth::Answerer;
use crate::chance::hex16;
use crate::dialog::Dialog;
use crate::event::{Event, InviteId};
use crate::headers::{Address, reason};
use crate::message::{Essentials, Message, Method, Name};
use crate::transaction::{ClientKey, Due, Layer, Owner};
use crate::write::{Writer, phrase};
use bytes::Bytes;
use model::Now;

/// How often one INVITE is repeated with credentials: once, and once more when the first nonce was stale.
const MAX_CHALLENGES: u8 = 2;

/// What a 401 or 407 asks for, when we can give it.
pub(super) fn answerer(
    message: &Message,
    code: u16,
    credentials: &Credentials,
) -> Option<Answerer> {
    let name = if code == 407 {
        Name::ProxyAuthenticate
    } else {
        Name::WwwAuthenticate
    };
    Answerer::choose(message.all(name), code == 407, credentials)
}

impl Calls {
    pub fn invite(&mut self, layer: &mut Layer, now: Now, invite: Invite) -> InviteId {
        let dialog = Dialog::outgoing(layer, invite.flow, &invite.from, &invite.to, &invite.target);
        let mut headers = Writer::lines();
        for (name, value) in &invite.headers {
            headers.foreign(name, value);
        }
        let calling = Calling {
            branch: 0,
            provisional: false,
            farewell: None,
            timer: None,
            challenges: 0,
            max_forwards: invite.max_forwards,
            headers: headers.into_block(),
            offer: invite.offer,
        };
        let usage = Usage {
            dialog,
            credentials: invite.credentials,
            state: State::Calling(Box::new(calling)),
            waiting: None,
            placed: true,
            silent: false,
        };
        let id = self.insert(usage);
        let timer = layer
            .timers
            .set(now.mono + invite.ring_timeout, Due::Ring(id));
        if let Some(usage) = self.usages.get_mut(&id) {
            if let State::Calling(calling) = &mut usage.state {
                calling.timer = Some(timer);
            }
            usage.send_invite(layer, now, id, None);
        }
        id
    }

    pub(super) fn invite_response(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        key: ClientKey,
        message: &Message,
        essentials: &Essentials<'_>,
    ) {
        let code = message.status().unwrap_or(500);
        let Some(usage) = self.usages.get_mut(&id) else {
            // The usage gave up; a late 2xx must still be taken down.
            if (200..300).contains(&code) {
                self.refuse_fork(layer, now, key, message, essentials);
            }
            return;
        };
        let State::Calling(calling) = &mut usage.state else {
            return;
        };
        match code {
            100..200 => {
                let first = !std::mem::replace(&mut calling.provisional, true);
                if let Some(farewell) = calling.farewell.as_ref().filter(|_| first) {
                    let (branch, reason) = (calling.branch, farewell.header());
                    layer.cancel(now, branch, reason.as_deref());
                } else if code > 100 && !usage.silent {
                    layer.emit(Event::Progress {
                        id,
                        code,
                        sdp: sdp(message),
                    });
                }
            }
            200..300 => {
                let farewell = calling.farewell.take();
                usage.dialog.confirm(message, essentials);
                let cseq = usage.dialog.local_cseq;
                let branch = layer.branch();
                let ack = usage.dialog.request(layer, "ACK", branch, cseq).finish();
                layer.acknowledge(key, usage.dialog.remote_tag.clone(), ack);
                super::release(
                    layer,
                    std::mem::replace(&mut usage.state, State::Up(Exchange::None)),
                );
                match farewell {
                    // The 200 crossed our CANCEL (RFC 3261 §9.1): the call is up, and is taken down again.
                    Some(farewell) => self.bye(layer, now, id, farewell),
                    None => layer.emit(Event::Answered {
                        id,
                        sdp: sdp(message),
                    }),
                }
            }
            401 | 407
                if calling.farewell.is_none()
                    && calling.challenges < MAX_CHALLENGES
                    && usage.credentials.is_some() =>
            {
                calling.challenges += 1;
                let answerer = usage
                    .credentials
                    .as_ref()
                    .and_then(|c| answerer(message, code, c));
                match answerer {
                    Some(answerer) => usage.send_invite(layer, now, id, Some(answerer)),
                    None => self.refused(layer, id, code, message),
                }
            }
            _ => self.refused(layer, id, code, message),
        }
    }

    fn refused(&mut self, layer: &mut Layer, id: InviteId, code: u16, message: &Message) {
        let text = match message.reason_phrase() {
            b"" => phrase(code).to_owned(),
            text => String::from_utf8_lossy(text).into_owned(),
        };
        let (q850, _) = reason(message.all(Name::Reason));
        self.finish(
            layer,
            id,
            Event::Failed {
                id,
                code,
                reason: text,
                q850,
                local: false,
            },
        );
        self.remove(layer, id);
    }

    /// CANCEL at once when a provisional response was seen, else as soon as one is (RFC 3261 §9.1).
    pub(super) fn cancel(&mut self, layer: &mut Layer, now: Now, id: InviteId, farewell: Farewell) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let State::Calling(calling) = &mut usage.state else {
            return;
        };
        if calling.provisional {
            layer.cancel(now, calling.branch, farewell.header().as_deref());
        }
        calling.farewell = Some(farewell);
        if let Some(timer) = calling.timer.take() {
            layer.timers.cancel(timer);
        }
        // §9.1: without a final response after 64*T1 the INVITE counts as cancelled.
        calling.timer = Some(
            layer
                .timers
                .set(now.mono + layer.config.t1 * 64, Due::Cancelled(id)),
        );
    }

    /// A 2xx nobody wants: acknowledged, then ended (RFC 3261 §13.2.2.4). Everything needed stands in it.
    pub fn refuse_fork(
        &mut self,
        layer: &mut Layer,
        now: Now,
        key: ClientKey,
        message: &Message,
        essentials: &Essentials<'_>,
    ) {
        let Some((flow, request)) = layer.request_of(key) else {
            return;
        };
        let Ok(request) = Message::parse(&request) else {
            return;
        };
        let target = std::str::from_utf8(request.request_uri()).unwrap_or_default();
        let mut dialog = Dialog {
            call_id: Bytes::copy_from_slice(essentials.call_id),
            local_tag: 0,
            remote_tag: Bytes::new(),
            local: Bytes::copy_from_slice(essentials.from_value),
            remote: Bytes::new(),
            local_cseq: essentials.cseq,
            remote_cseq: None,
            target: target.into(),
            routes: Vec::new(),
            flow,
        };
        dialog.confirm(message, essentials);
        let branch = layer.branch();
        let ack = dialog
            .request(layer, "ACK", branch, essentials.cseq)
            .finish();
        layer.acknowledge(key, dialog.remote_tag.clone(), ack);
        // A re-INVITE's 2xx after the dialog's end needs its ACK only: the BYE is out already.
        if request
            .first(Name::To)
            .and_then(Address::parse)
            .is_some_and(|to| to.tag().is_some())
        {
            return;
        }
        let branch = layer.branch();
        let cseq = dialog.next_cseq();
        let bye = dialog.request(layer, "BYE", branch, cseq).finish();
        layer.start(now, flow, branch, Method::Bye, bye, Owner::Nobody);
    }
}

impl Usage {
    /// The first INVITE, or the next with credentials.
    fn send_invite(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        answerer: Option<Answerer>,
    ) {
        let State::Calling(calling) = &mut self.state else {
            return;
        };
        calling.branch = layer.branch();
        calling.provisional = false;
        let dialog = &mut self.dialog;
        let cseq = dialog.next_cseq();
        let w = layer.request(
            dialog.flow,
            "INVITE",
            &dialog.target,
            calling.branch,
            calling.max_forwards,
        );
        let mut w = dialog.identify(w, "INVITE", cseq);
        capabilities(layer, &mut w);
        if let (Some(mut answerer), Some(credentials)) = (answerer, &self.credentials) {
            let cnonce = hex16(layer.chance.word());
            answerer.write(&mut w, "INVITE", &dialog.target, credentials, &cnonce);
        }
        w.block(&calling.headers);
        let bytes = w.finish_sdp(&calling.offer);
        layer.start(
            now,
            dialog.flow,
            calling.branch,
            Method::Invite,
            bytes,
            Owner::Invite(id),
        );
    }
}
