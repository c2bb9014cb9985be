//! Leases of what was fetched: extended in good time for as long as something of it is not settled.

use crossdock_model::Moment;
use crossdock_store::{Channels, Extension, Fence, Lease};

/// The leases of a reader. Channels that have none give none out.
#[derive(Default)]
pub(crate) struct Leases(Vec<(Moment, Lease)>);

impl Leases {
    /// Something was fetched.
    pub fn keep(&mut self, lease: Option<Lease>, now: Moment) {
        self.0.extend(lease.map(|lease| (extend_at(&lease, now), lease)));
    }

    /// Extends those whose time is half over.
    pub fn extend(&mut self, channels: &dyn Channels, fence: &Fence, now: Moment) {
        self.0.retain_mut(|(at, lease)| {
            if *at > now {
                return true;
            }
            *at = extend_at(lease, now);
            match channels.extend(fence, lease) {
                Ok(Extension::Extended) => true,
                Ok(Extension::Over) => false,
                Err(error) => {
                    // What was fetched with it is fetched again, by whoever has the claim.
                    tracing::warn!(%error, "a lease cannot be extended");
                    false
                }
            }
        });
    }

    /// When the first of them is to be extended.
    pub fn wake_at(&self) -> Option<Moment> {
        self.0.iter().map(|(at, _)| *at).min()
    }
}

fn extend_at(lease: &Lease, now: Moment) -> Moment {
    now.after(lease.lasts() / 2)
}
