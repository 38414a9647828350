//! Bindings.
use crate::flow::Flow;
use crate::uri::Uri;
use model::Wall;

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
