//! What the gateway has claimed of its channels: all subscriptions that there are, with all their lanes, since it is the
//! only one that works on them. What it does for one it does under this claim, and if another gateway takes that over, it
//! stops.

use crate::shared::Shared;
use crossdock_store::{
    Annotations, Channels, ClaimError, CommitError, Committed, Fence, LaneRange, ReadError, StoredMessage,
    SubscriptionNumber, Touch, Txn,
};
use std::{collections::HashMap, time::Duration};
use tokio::sync::oneshot;

/// How long a thread that may block waits for what is to be read.
pub(crate) const READ_WAIT: Duration = Duration::from_secs(30);

/// A subscription that is claimed.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    /// Which.
    pub subscription: SubscriptionNumber,
    /// The claim.
    pub fence: Fence,
}

/// The claims by subscription.
#[derive(Default)]
pub(crate) struct Claims(HashMap<SubscriptionNumber, Fence>);

impl Claims {
    /// Claims everything. Blocks.
    pub fn take(channels: &dyn Channels) -> Result<Self, ClaimError> {
        let claim = |subscription| Ok((subscription, channels.claim(subscription, LaneRange::ALL)?));
        channels.subscriptions().into_iter().map(|has| claim(has.number)).collect::<Result<_, _>>().map(Self)
    }

    /// A subscription with its claim.
    pub fn of(&self, subscription: SubscriptionNumber) -> Option<Claimed> {
        self.0.get(&subscription).map(|fence| Claimed { subscription, fence: fence.clone() })
    }

    /// The claims on those who read a channel. What is not claimed is missing: nothing is settled for it.
    pub fn of_all(&self, subscriptions: impl IntoIterator<Item = SubscriptionNumber>) -> Vec<Fence> {
        subscriptions.into_iter().filter_map(|subscription| self.0.get(&subscription).cloned()).collect()
    }
}

impl Claimed {
    /// A message, wherever it is. Blocks.
    pub fn read(&self, channels: &dyn Channels, offset: u64) -> Result<StoredMessage, ReadError> {
        channels.read(&self.fence, offset, READ_WAIT)?.ok_or(ReadError::Gone)
    }
}

/// Submits a decision and waits for the answer, without holding a thread.
pub(crate) async fn commit(shared: &Shared, fences: &[Fence], txn: Txn) -> Result<Committed, CommitError> {
    let (answer, answered) = oneshot::channel();
    // Who asked may have gone.
    shared.channels.commit(fences, txn, Box::new(move |result| drop(answer.send(result))));
    hear(shared, answered).await
}

/// Notes a try and waits for the answer, without holding a thread.
pub(crate) async fn annotate(shared: &Shared, claimed: &Claimed, touch: Touch) -> Result<Committed, CommitError> {
    let (answer, answered) = oneshot::channel();
    let annotations = Annotations { touches: vec![touch], rides: false };
    let fences = std::slice::from_ref(&claimed.fence);
    // Who asked may have gone.
    shared.channels.annotate(fences, annotations, Box::new(move |result| drop(answer.send(result))));
    hear(shared, answered).await
}

async fn hear(
    shared: &Shared,
    answered: oneshot::Receiver<Result<Committed, CommitError>>,
) -> Result<Committed, CommitError> {
    let result = answered.await.unwrap_or(Err(CommitError::Closed));
    if let Err(error @ (CommitError::Failed(_) | CommitError::Fenced)) = &result {
        shared.store_failed(error);
    }
    result
}
