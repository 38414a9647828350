//! REGISTER: who asks, for which address, and what the registrar says (RFC 3261 §10.3).

use super::Endpoint;
use crate::account::Accounts;
use crate::auth::Verdict;
use crate::event::RejectReason;
use crate::flow::Flow;
use crate::message::{Essentials, Message, Method, Name};
use crate::registrar::Refusal;
use crate::transaction::response_flow;
use crate::uri::Uri;
use crate::write::Writer;
use model::Now;

impl Endpoint {
    pub(super) fn registered(
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
        let realm = self.layer.config.realm.clone();
        let credentials = message.all(Name::Authorization);
        let method = message.method_token();
        let verdict = self.auth.verify(
            now.wall,
            &realm,
            method,
            message.request_uri(),
            credentials,
            accounts,
        );
        let account = match verdict {
            Verdict::Accepted(account) => account,
            Verdict::Challenge {
                stale,
                reason,
                username,
            } => {
                // An aged nonce is everyday life, and so is one from before a restart.
                if let Some(reason) = reason
                    .filter(|r| !matches!(r, RejectReason::StaleNonce | RejectReason::ForgedNonce))
                {
                    self.rejected(flow, username, reason);
                }
                return self.challenge(now, flow, message, e, stale);
            }
            Verdict::Refused { reason, username } => {
                self.rejected(flow, username, reason);
                return self.stateless(flow, message, e, 403, &[]);
            }
        };
        let back = response_flow(flow, e);
        let server = self.layer.server_key(message, e, method);
        let aor = match Uri::parse(e.to.uri) {
            Ok(to) => accounts.aor(&to.user(), to.host()),
            Err(_) => return self.stateless(flow, message, e, 400, &[]),
        };
        if aor.as_deref() != Some(account.aor.as_str()) {
            self.rejected(flow, account.username.clone(), RejectReason::NotItsAddress);
            return self.stateless(flow, message, e, 403, &[]);
        }
        let result = self.registrar.register(
            now,
            &self.layer.config,
            &account.aor,
            &account.username,
            back,
            message,
            e,
            &mut self.layer.events,
        );
        let (code, bytes) = match result {
            Ok(()) => (200, self.listing(now, flow, message, e, &account.aor)),
            Err(refusal) => {
                self.rejected(flow, account.username.clone(), refusal.reason());
                let (code, phrase) = refusal.status();
                let min = self.layer.config.min_expires.as_secs().to_string();
                let extra = [("Min-Expires", min.as_str())];
                let extra = if refusal == Refusal::TooBrief {
                    &extra[..]
                } else {
                    &[]
                };
                (code, self.compose(flow, message, e, code, phrase, extra))
            }
        };
        self.layer
            .answer_now(now, server, back, Method::Register, code, bytes);
    }

    /// 200 with every contact of the AOR (§10.3 step 8).
    fn listing(
        &self,
        now: Now,
        flow: Flow,
        message: &Message,
        e: &Essentials<'_>,
        aor: &str,
    ) -> bytes::Bytes {
        let mut w = Writer::response(200, "");
        w.block(
            &self
                .layer
                .head(message, e, flow, Some(self.layer.stateless_tag(e))),
        );
        for binding in self.registrar.bindings(aor, now) {
            // Rounded up, or a refresh would always look a second short.
            let left = binding
                .expires_at
                .since(now.wall)
                .as_millis()
                .div_ceil(1000);
            let mut tail = format!(">;expires={left}");
            if binding.q != 1000 {
                tail.push_str(&format!(";q=0.{:03}", binding.q));
            }
            w.parts(
                "Contact",
                &[b"<", binding.contact.as_str().as_bytes(), tail.as_bytes()],
            );
        }
        w.finish()
    }
}
