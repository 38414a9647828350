//! Dialogs (RFC 3261 §12): what identifies one, where its requests go, in which order they come.

use crate::chance::hex16;
use crate::flow::Flow;
use crate::headers::Address;
use crate::message::{Essentials, Message, Name};
use crate::transaction::Layer;
use crate::uri::{NameAddr, Uri};
use crate::write::{Writer, name_addr};
use bytes::Bytes;

#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub call_id: Bytes,
    /// Ours; unique in this endpoint, so it finds the usage.
    pub local_tag: u64,
    /// Empty until the peer has one.
    pub remote_tag: Bytes,
    /// Whole From and To values of our requests, tags included.
    pub local: Bytes,
    pub remote: Bytes,
    pub local_cseq: u32,
    pub remote_cseq: Option<u32>,
    /// The peer's Contact.
    pub target: Box<str>,
    /// Route elements, first hop first.
    pub routes: Vec<Bytes>,
    pub flow: Flow,
}

impl Dialog {
    /// For a call we place; the peer's half comes with its answer.
    pub fn outgoing(
        layer: &mut Layer,
        flow: Flow,
        from: &NameAddr,
        to: &Uri,
        target: &Uri,
    ) -> Dialog {
        let local_tag = layer.chance.word();
        let mut local = name_addr(&from.display, from.uri.without_headers());
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(&hex16(local_tag));
        Dialog {
            call_id: Bytes::from(layer.chance.call_id()),
            local_tag,
            remote_tag: Bytes::new(),
            local: Bytes::from(local),
            remote: Bytes::from(name_addr(b"", to.without_headers())),
            local_cseq: 0,
            remote_cseq: None,
            target: target.without_headers().into(),
            routes: Vec::new(),
            flow,
        }
    }

    /// For a call placed to us (§12.1.1).
    pub fn incoming(
        layer: &mut Layer,
        flow: Flow,
        message: &Message,
        essentials: &Essentials<'_>,
    ) -> Dialog {
        let local_tag = layer.chance.word();
        let mut local = essentials.to_value.to_vec();
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(&hex16(local_tag));
        Dialog {
            call_id: Bytes::copy_from_slice(essentials.call_id),
            local_tag,
            remote_tag: Bytes::copy_from_slice(essentials.from.tag().unwrap_or_default()),
            local: Bytes::from(local),
            remote: Bytes::copy_from_slice(essentials.from_value),
            local_cseq: 0,
            remote_cseq: Some(essentials.cseq),
            // A Contact is mandatory; where it is missing the From URI is the best there is.
            target: contact(message).unwrap_or(essentials.from.uri).into(),
            routes: record_routes(message).collect(),
            flow,
        }
    }

    /// The peer's half, from a response to our INVITE (§12.1.2).
    pub fn confirm(&mut self, message: &Message, essentials: &Essentials<'_>) {
        self.remote_tag = Bytes::copy_from_slice(essentials.to.tag().unwrap_or_default());
        self.remote = Bytes::copy_from_slice(essentials.to_value);
        self.routes = record_routes(message).collect();
        self.routes.reverse();
        self.refresh(message);
    }

    /// Target refresh (§12.2.1.2, §12.2.2).
    pub fn refresh(&mut self, message: &Message) {
        if let Some(target) = contact(message) {
            self.target = target.into();
        }
    }

    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// Whether a request with these marks belongs here.
    pub fn is_from_peer(&self, essentials: &Essentials<'_>) -> bool {
        *self.call_id == *essentials.call_id
            && *self.remote_tag == *essentials.from.tag().unwrap_or_default()
    }

    /// Request-URI and Route of a request (§12.2.1.1). A first hop without `lr` routes strictly.
    fn path(&self) -> (String, Vec<Vec<u8>>) {
        let address = |route: &Bytes| Address::parse(route).map(|a| a.uri.to_owned());
        match self.routes.first().and_then(address) {
            Some(first) if Uri::parse(&first).is_ok_and(|uri| uri.param("lr").is_none()) => {
                let rest = self.routes[1..].iter().map(|r| r.to_vec());
                (first, rest.chain([name_addr(b"", &self.target)]).collect())
            }
            _ => (
                self.target.to_string(),
                self.routes.iter().map(|r| r.to_vec()).collect(),
            ),
        }
    }

    /// The Request-URI, which digests cover.
    pub fn request_uri(&self) -> String {
        if self.routes.is_empty() {
            self.target.to_string()
        } else {
            self.path().0
        }
    }

    /// A request inside the dialog, down to CSeq.
    pub fn request(&self, layer: &Layer, method: &str, branch: u64, cseq: u32) -> Writer {
        if self.routes.is_empty() {
            let w = layer.request(self.flow, method, &self.target, branch, 70);
            return self.identify(w, method, cseq);
        }
        let (uri, routes) = self.path();
        let mut w = layer.request(self.flow, method, &uri, branch, 70);
        for route in &routes {
            w.header("Route", route);
        }
        self.identify(w, method, cseq)
    }

    pub fn identify(&self, mut w: Writer, method: &str, cseq: u32) -> Writer {
        w.header("From", &self.local)
            .header("To", &self.remote)
            .header("Call-ID", &self.call_id);
        w.parts(
            "CSeq",
            &[cseq.to_string().as_bytes(), b" ", method.as_bytes()],
        );
        w
    }
}

/// The URI of the first Contact that can stand in a request line.
fn contact(message: &Message) -> Option<&str> {
    let address = message.list(Name::Contact).find_map(Address::parse)?;
    Uri::parse(address.uri)
        .ok()
        .filter(|uri| uri.headers().is_empty())?;
    Some(address.uri)
}

fn record_routes(message: &Message) -> impl Iterator<Item = Bytes> + '_ {
    message
        .list(Name::RecordRoute)
        .filter(|r| Address::parse(r).is_some_and(|a| Uri::parse(a.uri).is_ok()))
        .take(16)
        .map(Bytes::copy_from_slice)
}
