//! Where a call from an authenticated device goes. Pure questions to the directory and the registrar; no effects.

use crate::call::{Destination, Parties};
use crate::directory::{Device, Extension, TenantDirectory, Trunk};
use crate::world::World;
use dialer::Called;
use model::*;
use sip::{Incoming, NameAddr, Uri};
use std::sync::Arc;
use std::time::Duration;

/// How long an extension rings.
const RING: Duration = Duration::from_secs(60);

/// Why a call goes nowhere, for the wire (SIP status, Q.850 cause) and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: u16,
    pub q850: u8,
    pub text: &'static str,
}

const fn refusal(code: u16, q850: u8, text: &'static str) -> Refusal {
    Refusal { code, q850, text }
}

#[allow(clippy::large_enum_variant)] // Lives for one statement.
pub(crate) enum Route {
    /// Ring these; nothing to pay.
    Inside {
        parties: Parties,
        to: Vec<Destination>,
    },
    /// Out through a trunk, if the gate and the balance allow it.
    Outside {
        parties: Parties,
        callee: Called,
        to: Destination,
    },
}

pub(crate) fn route(
    world: &World,
    tenant: &Arc<TenantDirectory>,
    device: Device,
    incoming: &Incoming,
) -> Result<Route, Refusal> {
    let from = match device {
        Device::Extension(id) => tenant
            .extensions
            .iter()
            .find(|extension| extension.id == id),
        Device::Trunk(_) => None,
    };
    if let Some(to) = extension_called(world, tenant, incoming) {
        return inside(world, device, from, to, incoming);
    }
    match from {
        Some(extension) => outside(world, tenant, extension, incoming),
        // Numbers that come in by a trunk have no targets of their own yet: only extensions can be reached.
        None => Err(refusal(404, 1, "no such extension")),
    }
}

fn extension_called<'a>(
    world: &World,
    tenant: &'a TenantDirectory,
    incoming: &Incoming,
) -> Option<&'a Extension> {
    let user = incoming.to_user.as_str();
    tenant.extension(user).or_else(|| {
        let aor = sip::Accounts::aor(&world.directory, user, incoming.request_uri.host())?;
        tenant
            .extensions
            .iter()
            .find(|extension| extension.account.aor == aor)
    })
}

fn inside(
    world: &World,
    device: Device,
    from: Option<&Extension>,
    to: &Extension,
    incoming: &Incoming,
) -> Result<Route, Refusal> {
    let (caller, name) = match from {
        Some(extension) => (extension.number.clone(), extension.name.clone()),
        None => (
            incoming.from.uri.user().into_owned(),
            incoming.from.display_text().into_owned(),
        ),
    };
    let parties = Parties {
        direction: if from.is_some() {
            Direction::Internal
        } else {
            Direction::Inbound
        },
        caller: caller.clone(),
        callee: to.number.clone(),
        campaign: None,
        lead: None,
        extension: Some(from.map_or(to.id, |extension| extension.id)),
        trunk: match device {
            Device::Trunk(id) => Some(id),
            Device::Extension(_) => None,
        },
    };
    let realm = world.config.sip.realm.as_str();
    let from = address(realm, &name, &caller)?;
    let to_uri = Uri::sip(&to.number, realm, None)
        .map_err(|_| refusal(500, 41, "the extension has no usable number"))?;
    let to: Vec<Destination> = world
        .sip
        .bindings(&to.account.aor, world.now)
        .map(|binding| Destination {
            flow: binding.flow,
            target: binding.contact.clone(),
            to: to_uri.clone(),
            from: from.clone(),
            headers: Vec::new(),
            ring_timeout: RING,
            max_forwards: incoming.max_forwards.saturating_sub(1),
        })
        .collect();
    if to.is_empty() {
        // RFC 3261 §21.4.18: known, but not there now. Q.850 20: subscriber absent.
        return Err(refusal(480, 20, "the extension is not registered"));
    }
    Ok(Route::Inside { parties, to })
}

fn outside(
    world: &World,
    tenant: &TenantDirectory,
    from: &Extension,
    incoming: &Incoming,
) -> Result<Route, Refusal> {
    let callee = Called::read(&incoming.to_user, &tenant.country)
        .map_err(|_| refusal(404, 1, "no such extension, and not a telephone number"))?;
    let trunk = match from.trunk {
        Some(id) => tenant.trunk(id),
        None => tenant.trunks.first(),
    }
    .ok_or(match callee {
        // Without a way out, a short number can only have been meant for an extension.
        Called::Short(_) => refusal(404, 1, "no such extension"),
        _ => refusal(403, 21, "the extension has no trunk to call out by"),
    })?;
    let caller = displayed(tenant, from, trunk, incoming)?;
    let mut to = to_trunk(
        world,
        tenant,
        trunk,
        caller.as_deref().unwrap_or(""),
        &callee,
        RING,
    )?;
    to.max_forwards = incoming.max_forwards.saturating_sub(1);
    let parties = Parties {
        direction: Direction::Outbound,
        caller: caller.unwrap_or_default(),
        callee: spoken(&callee),
        campaign: None,
        lead: None,
        extension: Some(from.id),
        trunk: Some(trunk.id),
    };
    Ok(Route::Outside {
        parties,
        callee,
        to,
    })
}

/// The number the callee will see: the one the device asks for in From when that is a number, else the extension's. It
/// must be approved, unless the trunk shows its own whatever we say.
fn displayed(
    tenant: &TenantDirectory,
    from: &Extension,
    trunk: &Trunk,
    incoming: &Incoming,
) -> Result<Option<String>, Refusal> {
    let user = incoming.from.uri.user();
    let own = user == from.number.as_str() || user == from.account.username.as_str();
    let wanted = if own {
        None
    } else {
        E164::parse(&user, &tenant.country).ok()
    };
    match wanted.or_else(|| from.display.clone()) {
        Some(number) if tenant.approved(&number) => Ok(Some(number.to_string())),
        _ if trunk.forced_display => Ok(None),
        Some(_) => Err(refusal(403, 21, "the caller number is not approved")),
        None => Err(refusal(
            403,
            21,
            "the extension has no approved caller number",
        )),
    }
}

/// A destination behind a gateway that registers to us.
pub(crate) fn to_trunk(
    world: &World,
    tenant: &TenantDirectory,
    trunk: &Trunk,
    caller: &str,
    callee: &Called,
    ring_timeout: Duration,
) -> Result<Destination, Refusal> {
    let binding = world
        .sip
        .bindings(&trunk.account.aor, world.now)
        .next()
        // Q.850 38: network out of order.
        .ok_or(refusal(503, 38, "the trunk's gateway is not registered"))?;
    let dialled = match callee {
        Called::Number(number) => number.national_form(&tenant.country),
        Called::Emergency(digits) | Called::Short(digits) => digits.clone(),
    };
    let unusable = |_| refusal(484, 28, "the number cannot be dialled");
    let host = binding.contact.host();
    let target = Uri::sip(&dialled, host, binding.contact.port()).map_err(unusable)?;
    let realm = world.config.sip.realm.as_str();
    let shown = if caller.is_empty() {
        "anonymous"
    } else {
        caller
    };
    Ok(Destination {
        flow: binding.flow,
        to: Uri::sip(&dialled, realm, None).map_err(unusable)?,
        target,
        from: address(realm, "", shown)?,
        headers: Vec::new(),
        ring_timeout,
        max_forwards: 70,
    })
}

/// How a record writes whom it called.
pub(crate) fn spoken(callee: &Called) -> String {
    match callee {
        Called::Number(number) => number.to_string(),
        Called::Emergency(digits) | Called::Short(digits) => digits.clone(),
    }
}

fn address(realm: &str, name: &str, user: &str) -> Result<NameAddr, Refusal> {
    Uri::sip(user, realm, None)
        .map(|uri| NameAddr::new(name, uri))
        .map_err(|_| refusal(400, 127, "the caller's address cannot be used"))
}
