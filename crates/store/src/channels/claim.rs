//! Who works on a subscription: of several claims the last one counts.

use super::Fence;
use crate::{DeclareError, SubscriptionNumber};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// A part of a subscription's lanes: of the hashes of `order_by`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneRange {
    first: u64,
    last: u64,
}

impl LaneRange {
    /// All of them.
    pub const ALL: Self = Self { first: 0, last: u64::MAX };

    /// From one hash to another, both included; none if they are the wrong way round.
    #[must_use]
    pub fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The first and the last hash.
    #[must_use]
    pub const fn bounds(self) -> (u64, u64) {
        (self.first, self.last)
    }
}

/// Why something was not claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// There is no such subscription.
    #[error("there is no subscription {0:?}")]
    Unknown(SubscriptionNumber),
    /// These channels do not know lanes apart: one gateway has them all.
    #[error("a subscription of these channels is claimed with all its lanes")]
    Undivided,
    /// What was done under the older claim could not be brought to its end.
    #[error(transparent)]
    Declare(#[from] DeclareError),
}

/// The claim under which something was to be done is not the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale;

/// Which claim of a subscription is the last. Shared by what is done under it, so that a later one waits for that.
type Standing = Arc<RwLock<u64>>;

/// The claims on the subscriptions of an open store.
///
/// ```text
/// fence   subscription: 4 │ how many claims there were on it: 8
/// ```
#[derive(Default)]
pub struct Claims(Mutex<BTreeMap<u32, Standing>>);

impl Claims {
    /// A later claim than all others on the subscription: returns when nothing is being done under those any more. Tells
    /// whether there were any.
    pub fn take(&self, subscription: SubscriptionNumber) -> (Fence, bool) {
        let standing = self.standing(subscription.0);
        let mut count = standing.write().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        let mut bytes = [0; 12];
        let (number, counted) = bytes.split_at_mut(4);
        number.copy_from_slice(&subscription.0.to_le_bytes());
        counted.copy_from_slice(&count.to_le_bytes());
        (Fence::new(Bytes::copy_from_slice(&bytes)), *count > 1)
    }

    /// Does something for the subscriptions of some claims, unless one of these is stale.
    pub fn under<T>(&self, fences: &[Fence], act: impl FnOnce(&[u32]) -> T) -> Result<T, Stale> {
        let mut claims = fences.iter().map(decode).collect::<Option<Vec<_>>>().ok_or(Stale)?;
        // One order for all: two who hold some of each other's would else wait for each other behind a claim.
        claims.sort_unstable();
        claims.dedup();
        let standings: Vec<Standing> = claims.iter().map(|(subscription, _)| self.standing(*subscription)).collect();
        let held: Vec<_> = standings.iter().map(|held| held.read().unwrap_or_else(PoisonError::into_inner)).collect();
        let subscriptions: Vec<u32> = claims.iter().map(|(subscription, _)| *subscription).collect();
        let stand = claims.iter().zip(&held).all(|((_, count), last)| *count == **last);
        if stand { Ok(act(&subscriptions)) } else { Err(Stale) }
    }

    fn standing(&self, subscription: u32) -> Standing {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(claims.entry(subscription).or_default())
    }
}

fn decode(fence: &Fence) -> Option<(u32, u64)> {
    let (subscription, count) = fence.bytes().split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*subscription), u64::from_le_bytes(count.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread, time::Duration};

    #[test]
    fn the_last_claim_counts_and_no_other_subscription_is_harmed() {
        let claims = Claims::default();
        let [a, b] = [SubscriptionNumber(1), SubscriptionNumber(2)];
        let ((first, taken), (other, _)) = (claims.take(a), claims.take(b));
        assert!(!taken);
        assert_eq!(claims.under(&[other.clone(), first.clone()], <[u32]>::to_vec), Ok(vec![1, 2]));
        let (second, taken) = claims.take(a);
        assert!(taken);
        assert_ne!(first, second);
        assert_eq!(claims.under(std::slice::from_ref(&first), |_| ()), Err(Stale));
        assert_eq!(claims.under(&[other.clone(), first], |_| ()), Err(Stale), "one of them is enough");
        assert_eq!(claims.under(&[second, other], |_| ()), Ok(()));
        for wrong in ["", "1234", "12345678901", "1234567890123"] {
            assert_eq!(claims.under(&[Fence::new(Bytes::from(wrong))], |_| ()), Err(Stale), "{wrong}");
        }
    }

    #[test]
    fn a_claim_waits_for_what_is_being_done_under_the_one_before() {
        let claims = Arc::new(Claims::default());
        let (first, _) = claims.take(SubscriptionNumber(1));
        let (told, taken) = mpsc::channel();
        let later = Arc::clone(&claims);
        let claimer = claims
            .under(std::slice::from_ref(&first), |_| {
                let claimer = thread::spawn(move || told.send(later.take(SubscriptionNumber(1)).0).unwrap());
                assert!(
                    taken.recv_timeout(Duration::from_millis(50)).is_err(),
                    "it was given while something was done"
                );
                claimer
            })
            .unwrap();
        claimer.join().unwrap();
        assert!(claims.under(&[taken.recv().unwrap()], |_| ()).is_ok());
        assert_eq!(claims.under(&[first], |_| ()), Err(Stale));
    }
}
