//! Who exists: per tenant one immutable value, swapped whole when configuration changes, so that no question on the path of
//! a call needs SQL. Bindings are not part of it; they belong to the registrar.

use billing::Rate;
use model::*;
use std::collections::HashMap;
use std::sync::Arc;

/// One tenant's configuration as calls need it.
#[derive(Clone, Debug)]
pub struct TenantDirectory {
    pub tenant: TenantId,
    /// The enterprise account, `acme`; lower case, unique on the platform.
    pub account: String,
    /// SIP domains of its own (`acme.example`).
    pub domains: Vec<String>,
    /// Nothing of a banned tenant registers or dials.
    pub banned: bool,
    /// Calling code national numbers belong to (`86`).
    pub country: String,
    pub rate: Rate,
    /// Robot calls at once, over all campaigns.
    pub robot_lines: u32,
    /// Rules of the gate that are the tenant's, without a campaign's own.
    pub policy: dialer::Policy,
    pub extensions: Vec<Extension>,
    pub trunks: Vec<Trunk>,
    pub caller_numbers: Vec<CallerNumber>,
}

#[derive(Clone, Debug)]
pub struct Extension {
    pub id: ExtensionId,
    /// Short number inside the tenant, `1001`.
    pub number: String,
    pub name: String,
    pub account: Arc<sip::Account>,
    /// What an outside callee sees; must be approved at the moment of the call.
    pub display: Option<E164>,
    /// The trunk outside calls leave by.
    pub trunk: Option<TrunkId>,
}

#[derive(Clone, Debug)]
pub struct Trunk {
    pub id: TrunkId,
    pub name: String,
    /// The account its gateway registers to us with.
    pub account: Arc<sip::Account>,
    pub max_calls: u32,
    pub calls_per_second: u32,
    /// 强显: the trunk shows a number of its own whatever we send.
    pub forced_display: bool,
}

#[derive(Clone, Debug)]
pub struct CallerNumber {
    pub id: CallerNumberId,
    pub number: E164,
    pub approved: bool,
}

impl TenantDirectory {
    pub fn trunk(&self, id: TrunkId) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.id == id)
    }
    pub fn extension(&self, number: &str) -> Option<&Extension> {
        self.extensions
            .iter()
            .find(|extension| extension.number == number)
    }
    pub fn caller(&self, id: CallerNumberId) -> Option<&CallerNumber> {
        self.caller_numbers.iter().find(|caller| caller.id == id)
    }
    pub fn approved(&self, number: &E164) -> bool {
        self.caller_numbers
            .iter()
            .any(|caller| caller.approved && caller.number == *number)
    }
}

/// Whose an account or AOR is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Extension(ExtensionId),
    Trunk(TrunkId),
}

#[derive(Clone, Debug)]
struct Known {
    tenant: TenantId,
    device: Device,
    account: Arc<sip::Account>,
}

/// All tenants, indexed for the wire.
#[derive(Debug, Default)]
pub struct Directory {
    tenants: HashMap<TenantId, Arc<TenantDirectory>>,
    /// By authentication user, which is also the AOR's user part on the platform's own host.
    accounts: HashMap<String, Known>,
    /// (domain, number) → authentication user, for a tenant's own domain.
    domains: HashMap<(String, String), String>,
}

impl Directory {
    /// Swaps in a tenant's configuration; the AORs that are gone (deleted or banned) are returned in order, to drop their
    /// bindings.
    pub fn put(&mut self, fresh: Arc<TenantDirectory>) -> Vec<(String, Device)> {
        let tenant = fresh.tenant;
        let mut gone: Vec<(String, Device)> = self
            .accounts
            .values()
            .filter(|known| known.tenant == tenant)
            .map(|known| (known.account.aor.clone(), known.device))
            .collect();
        self.accounts.retain(|_, known| known.tenant != tenant);
        let accounts = &self.accounts;
        self.domains
            .retain(|_, username| accounts.contains_key(username));
        if !fresh.banned {
            for extension in &fresh.extensions {
                for domain in &fresh.domains {
                    self.domains.insert(
                        (domain.to_ascii_lowercase(), extension.number.clone()),
                        extension.account.username.clone(),
                    );
                }
                self.add(tenant, Device::Extension(extension.id), &extension.account);
            }
            for trunk in &fresh.trunks {
                self.add(tenant, Device::Trunk(trunk.id), &trunk.account);
            }
        }
        gone.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        gone.retain(|(aor, _)| {
            !self
                .accounts
                .values()
                .any(|known| known.account.aor == *aor)
        });
        self.tenants.insert(tenant, fresh);
        gone
    }

    fn add(&mut self, tenant: TenantId, device: Device, account: &Arc<sip::Account>) {
        let known = Known {
            tenant,
            device,
            account: account.clone(),
        };
        self.accounts.insert(account.username.clone(), known);
    }

    pub fn tenant(&self, id: TenantId) -> Option<&Arc<TenantDirectory>> {
        self.tenants.get(&id)
    }

    /// Whose address of record this is.
    pub fn device_of(&self, aor: &str) -> Option<(&Arc<TenantDirectory>, Device)> {
        let known = self
            .accounts
            .values()
            .find(|known| known.account.aor == aor)?;
        Some((self.tenants.get(&known.tenant)?, known.device))
    }

    /// Whose account this authentication user (or AOR, which is the same string on the platform) is.
    pub fn device(&self, username: &str) -> Option<(&Arc<TenantDirectory>, Device)> {
        let known = self.accounts.get(username)?;
        Some((self.tenants.get(&known.tenant)?, known.device))
    }
}

impl sip::Accounts for Directory {
    fn account(&self, username: &str) -> Option<Arc<sip::Account>> {
        self.accounts
            .get(username)
            .map(|known| known.account.clone())
    }

    fn aor(&self, user: &str, host: &str) -> Option<String> {
        if let Some(known) = self.accounts.get(user) {
            return Some(known.account.aor.clone());
        }
        let username = self
            .domains
            .get(&(host.to_ascii_lowercase(), user.to_owned()))?;
        self.accounts
            .get(username)
            .map(|known| known.account.aor.clone())
    }
}
