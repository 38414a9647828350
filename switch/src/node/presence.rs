//! Who is there: configuration that is swapped in, bindings that come and go.

use super::Node;
use crate::directory::{Device, TenantDirectory};
use crate::effect::Persist;
use model::*;
use serde_json::json;
use std::sync::Arc;

impl Node {
    pub(super) fn directory(&mut self, directory: Arc<TenantDirectory>) {
        let tenant = directory.tenant;
        for (aor, device) in self.world.directory.put(directory) {
            let bindings = self.world.sip.bindings(&aor, self.world.now);
            let contacts: Vec<sip::Uri> = bindings.map(|b| b.contact.clone()).collect();
            self.world.sip.drop_bindings(&aor);
            for contact in contacts {
                self.unbind(tenant, device, &aor, &contact, "the account is gone");
            }
        }
        self.campaigns.wake();
    }

    pub(super) fn registered(&mut self, aor: &str, binding: sip::Binding, refreshed: bool) {
        let Some((tenant, device)) = self.world.directory.device(&binding.username) else {
            return;
        };
        let tenant = tenant.tenant;
        let data = json!({
            "aor": aor,
            "contact": binding.contact.as_str(),
            "source": binding.flow.remote.to_string(),
            "user_agent": binding.user_agent,
            "expires_at": binding.expires_at.rfc3339(),
        });
        self.world.persist(Persist::Bound { tenant, binding });
        if !refreshed {
            let kind = match device {
                Device::Extension(_) => "extension.registered",
                Device::Trunk(_) => "trunk.up",
            };
            self.world.notify(tenant, kind, data);
            self.campaigns.wake();
        }
    }

    pub(super) fn unbound(&mut self, aor: String, contact: &sip::Uri, why: &str) {
        let Some((tenant, device)) = self.world.directory.device_of(&aor) else {
            return;
        };
        let tenant = tenant.tenant;
        self.unbind(tenant, device, &aor, contact, why);
    }

    fn unbind(
        &mut self,
        tenant: TenantId,
        device: Device,
        aor: &str,
        contact: &sip::Uri,
        why: &str,
    ) {
        let contact = contact.as_str().to_owned();
        let kind = match device {
            Device::Extension(_) => "extension.expired",
            Device::Trunk(_) => "trunk.down",
        };
        let data = json!({ "aor": aor, "contact": contact, "why": why });
        self.world.persist(Persist::Unbound {
            tenant,
            aor: aor.to_owned(),
            contact,
        });
        self.world.notify(tenant, kind, data);
    }
}
