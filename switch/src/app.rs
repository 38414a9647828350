//! What a call is about. One of these stands beside each call's legs, hears what happens to them and decides.

pub(crate) mod direct;
pub(crate) mod robot;

#[derive(Debug)]
pub(crate) enum App {
    /// A campaign's robot talks to a lead.
    Robot(Box<robot::Robot>),
    /// An extension's call to another extension or out through a trunk.
    Direct(Box<direct::Direct>),
}
