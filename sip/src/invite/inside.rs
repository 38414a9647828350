//! Requests inside a dialog, from the peer and ours: BYE, INFO, OPTIONS, UPDATE, re-INVITE with its glare.

use super::{
    Calls, Exchange, Farewell, PendingOk, State, Usage, Waiting, capabilities, is_sdp, sdp, uac,
    uas,
};
use crate::auth::Answerer;
use crate::chance::hex16;
use crate::event::{Event, InviteId};
use crate::flow::Flow;
use crate::headers::reason;
use crate::message::{Essentials, Message, Method, Name};
use crate::transaction::{ClientKey, Due, Layer, Owner, ServerKey, response_flow};
use crate::write::Writer;
use bytes::Bytes;
use model::Now;
use std::time::Duration;

/// How often a re-INVITE is repeated after 491.
const MAX_GLARES: u8 = 6;

impl Calls {
    /// A request other than ACK and CANCEL that belongs to a usage.
    pub fn inside(
        &mut self,
        layer: &mut Layer,
        now: Now,
        flow: Flow,
        id: InviteId,
        message: &Message,
        essentials: &Essentials<'_>,
    ) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let method = message.method().unwrap_or(Method::Other);
        let server = layer.server_key(message, essentials, message.method_token());
        let back = response_flow(flow, essentials);
        let head = layer.head(message, essentials, flow, None);
        let answer = |layer: &mut Layer, code: u16, extra: &[(&str, &str)]| {
            let mut w = Writer::response(code, "");
            w.block(&head);
            for (name, value) in extra {
                w.header(name, value);
            }
            layer.answer_now(now, server, back, method, code, w.finish());
        };
        // RFC 3261 §12.2.2: requests of a dialog come in order.
        if usage
            .dialog
            .remote_cseq
            .is_some_and(|last| essentials.cseq <= last)
        {
            return answer(layer, 500, &[]);
        }
        let early = matches!(usage.state, State::Calling(_));
        let closing = matches!(usage.state, State::Closing { .. });
        if early || (closing && method != Method::Bye) {
            return answer(layer, 481, &[]);
        }
        usage.dialog.remote_cseq = Some(essentials.cseq);
        match method {
            Method::Bye => {
                answer(layer, 200, &[]);
                self.bye_received(layer, now, id, message);
            }
            Method::Options => answer(
                layer,
                200,
                &[
                    ("Allow", super::ALLOW),
                    ("Accept", "application/sdp"),
                    ("Contact", &layer.contact.clone()),
                ],
            ),
            Method::Info => {
                answer(layer, 200, &[]);
                if !usage.silent {
                    layer.emit(Event::Info {
                        id,
                        content_type: message.text(Name::ContentType).unwrap_or_default(),
                        body: message.body_bytes().unwrap_or_default(),
                    });
                }
            }
            // Without an offer it only refreshes; we do not list UPDATE, so an offer in it is not taken.
            Method::Update if message.body().is_empty() => {
                usage.dialog.refresh(message);
                answer(layer, 200, &[("Contact", &layer.contact.clone())]);
            }
            Method::Update => answer(layer, 488, &[]),
            Method::Invite => {
                self.reinvited(layer, now, id, flow, server, head, message, essentials)
            }
            // No reliable provisional response of ours is waiting (RFC 3262 §3).
            Method::Prack => answer(layer, 481, &[]),
            Method::Other => answer(layer, 501, &[]),
            _ => answer(layer, 405, &[("Allow", super::ALLOW)]),
        }
    }

    fn bye_received(&mut self, layer: &mut Layer, now: Now, id: InviteId, message: &Message) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        match &usage.state {
            // RFC 3261 §15.1.2: pending requests get 487. In an early dialog that is the INVITE itself.
            State::Ringing(_) => return self.cancelled(layer, now, id),
            State::Up(Exchange::Theirs { server, head, .. }) => {
                let mut w = Writer::response(487, "");
                w.block(head);
                layer.respond(now, *server, 487, w.finish());
            }
            // Our own BYE crosses it; its answer ends the usage.
            State::Closing { .. } => return,
            _ => {}
        }
        let (q850, text) = reason(message.all(Name::Reason));
        self.finish(
            layer,
            id,
            Event::Ended {
                id,
                q850,
                text,
                local: false,
            },
        );
        self.remove(layer, id);
    }

    #[expect(clippy::too_many_arguments)]
    fn reinvited(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        flow: Flow,
        server: ServerKey,
        head: Bytes,
        message: &Message,
        essentials: &Essentials<'_>,
    ) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let back = response_flow(flow, essentials);
        let refuse = |layer: &mut Layer, code: u16, extra: Option<(&str, String)>| {
            let mut w = Writer::response(code, "");
            w.block(&head);
            if let Some((name, value)) = extra {
                w.header(name, value);
            }
            layer.answer_now(now, server, back, Method::Invite, code, w.finish());
        };
        match &usage.state {
            // §14.2: one exchange at a time. 500 when theirs is unfinished, 491 when ours is.
            State::Ringing(_) | State::Up(Exchange::Theirs { .. }) => {
                let after = layer.chance.below(11).to_string();
                return refuse(layer, 500, Some(("Retry-After", after)));
            }
            State::Accepted { .. }
            | State::Up(Exchange::Ours { .. } | Exchange::TheirsAccepted(_)) => {
                return refuse(layer, 491, None);
            }
            State::Up(Exchange::None) => {}
            State::Calling(_) | State::Closing { .. } => return refuse(layer, 481, None),
        }
        if !message.body().is_empty() && !is_sdp(message) {
            return refuse(layer, 415, Some(("Accept", "application/sdp".to_owned())));
        }
        layer.open_server(server, back, id);
        layer.respond(
            now,
            server,
            100,
            uas::trying(layer, message, essentials, flow),
        );
        usage.dialog.refresh(message);
        // A device that moved, or whose translation did, says so with this request.
        usage.dialog.flow = back;
        let exchange = Exchange::Theirs {
            server,
            head,
            cseq: essentials.cseq,
            flow: back,
            offered: !message.body().is_empty(),
            // The owner answers at once; this is for one that never does.
            timer: layer
                .timers
                .set(now.mono + layer.config.t1 * 64, Due::Reoffer(id)),
        };
        usage.state = State::Up(exchange);
        layer.emit(Event::Reoffer {
            id,
            sdp: sdp(message),
        });
    }

    pub fn reoffer_accept(&mut self, layer: &mut Layer, now: Now, id: InviteId, sdp: Bytes) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let State::Up(Exchange::Theirs {
            server,
            head,
            cseq,
            flow,
            offered,
            ..
        }) = &usage.state
        else {
            return;
        };
        let mut w = Writer::response(200, "");
        w.block(head);
        capabilities(layer, &mut w);
        let bytes = w.finish_sdp(&sdp);
        layer.respond(now, *server, 200, bytes.clone());
        let ok = PendingOk::new(layer, now, id, *flow, *cseq, bytes, *offered);
        let before = std::mem::replace(&mut usage.state, State::Up(Exchange::TheirsAccepted(ok)));
        super::release(layer, before);
    }

    pub fn reoffer_reject(&mut self, layer: &mut Layer, now: Now, id: InviteId, code: u16) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let State::Up(Exchange::Theirs { server, head, .. }) = &usage.state else {
            return;
        };
        let code = if (300..700).contains(&code) {
            code
        } else {
            488
        };
        let mut w = Writer::response(code, "");
        w.block(head);
        layer.respond(now, *server, code, w.finish());
        let before = std::mem::replace(&mut usage.state, State::Up(Exchange::None));
        super::release(layer, before);
    }

    /// Our offer inside the call. While another exchange is under way it is refused with 491, as the peer would.
    pub fn reinvite(&mut self, layer: &mut Layer, now: Now, id: InviteId, sdp: Bytes) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        match usage.state {
            State::Up(Exchange::None) if usage.waiting.is_none() => {
                usage.send_reinvite(layer, now, id, sdp, 0, None)
            }
            _ if usage.silent => {}
            _ => layer.emit(Event::Reoffered {
                id,
                result: Err(491),
            }),
        }
    }

    pub(super) fn glare_over(&mut self, layer: &mut Layer, now: Now, id: InviteId) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let Some(Waiting { sdp, attempts, .. }) = usage.waiting.take() else {
            return;
        };
        match usage.state {
            State::Up(Exchange::None) => usage.send_reinvite(layer, now, id, sdp, attempts, None),
            _ if attempts < MAX_GLARES => usage.wait(layer, now, id, sdp, attempts + 1),
            _ => layer.emit(Event::Reoffered {
                id,
                result: Err(491),
            }),
        }
    }

    pub(super) fn reinvite_response(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        key: ClientKey,
        message: &Message,
        essentials: &Essentials<'_>,
    ) {
        let code = message.status().unwrap_or(500);
        if code < 200 {
            return;
        }
        let Some(usage) = self.usages.get_mut(&id) else {
            if code < 300 {
                self.refuse_fork(layer, now, key, message, essentials);
            }
            return;
        };
        if code < 300 {
            let branch = layer.branch();
            let ack = usage
                .dialog
                .request(layer, "ACK", branch, essentials.cseq)
                .finish();
            layer.acknowledge(
                key,
                Bytes::copy_from_slice(essentials.to.tag().unwrap_or_default()),
                ack,
            );
        }
        let State::Up(Exchange::Ours {
            branch,
            sdp: offer,
            attempts,
            challenged,
        }) = &mut usage.state
        else {
            return;
        };
        if *branch != key.branch {
            return;
        }
        match code {
            200..300 => {
                usage.dialog.refresh(message);
                usage.state = State::Up(Exchange::None);
                layer.emit(Event::Reoffered {
                    id,
                    result: Ok(sdp(message)),
                });
            }
            491 if *attempts < MAX_GLARES => {
                let (sdp, attempts) = (offer.clone(), *attempts + 1);
                usage.state = State::Up(Exchange::None);
                usage.wait(layer, now, id, sdp, attempts);
            }
            401 | 407 if !*challenged => {
                let (sdp, attempts) = (offer.clone(), *attempts);
                match usage
                    .credentials
                    .as_ref()
                    .and_then(|c| uac::answerer(message, code, c))
                {
                    Some(answerer) => {
                        usage.send_reinvite(layer, now, id, sdp, attempts, Some(answerer))
                    }
                    None => self.reinvite_failed(layer, now, id, code),
                }
            }
            _ => self.reinvite_failed(layer, now, id, code),
        }
    }

    pub(super) fn reinvite_failed(&mut self, layer: &mut Layer, now: Now, id: InviteId, code: u16) {
        let Some(usage) = self.usages.get_mut(&id) else {
            return;
        };
        let State::Up(Exchange::Ours { .. }) = usage.state else {
            return;
        };
        usage.state = State::Up(Exchange::None);
        layer.emit(Event::Reoffered {
            id,
            result: Err(code),
        });
        // §12.2.1.2: the peer does not know the dialog, or is gone.
        if matches!(code, 408 | 481 | 503) {
            let text = "Dialog lost".to_owned();
            self.finish(
                layer,
                id,
                Event::Ended {
                    id,
                    q850: None,
                    text,
                    local: true,
                },
            );
            self.bye(layer, now, id, Farewell::default());
        }
    }
}

impl Usage {
    /// RFC 3261 §14.1: the owner of the Call-ID waits longer, so that one of the two goes first.
    fn wait(&mut self, layer: &mut Layer, now: Now, id: InviteId, sdp: Bytes, attempts: u8) {
        let wait = if self.placed {
            2100 + 10 * layer.chance.below(190)
        } else {
            10 * layer.chance.below(200)
        };
        let timer = layer
            .timers
            .set(now.mono + Duration::from_millis(wait), Due::Glare(id));
        self.waiting = Some(Waiting {
            timer,
            sdp,
            attempts,
        });
    }

    fn send_reinvite(
        &mut self,
        layer: &mut Layer,
        now: Now,
        id: InviteId,
        sdp: Bytes,
        attempts: u8,
        answerer: Option<Answerer>,
    ) {
        let branch = layer.branch();
        let dialog = &mut self.dialog;
        let cseq = dialog.next_cseq();
        let mut w = dialog.request(layer, "INVITE", branch, cseq);
        capabilities(layer, &mut w);
        let challenged = answerer.is_some();
        if let (Some(mut answerer), Some(credentials)) = (answerer, &self.credentials) {
            let cnonce = hex16(layer.chance.word());
            answerer.write(
                &mut w,
                "INVITE",
                &dialog.request_uri(),
                credentials,
                &cnonce,
            );
        }
        let bytes = w.finish_sdp(&sdp);
        let flow = dialog.flow;
        self.state = State::Up(Exchange::Ours {
            branch,
            sdp,
            attempts,
            challenged,
        });
        layer.start(
            now,
            flow,
            branch,
            Method::Invite,
            bytes,
            Owner::Reinvite(id),
        );
    }
}
