//! Reading a request's body within its limits.

use super::budget::{Budget, Share};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// What is reserved at once for a body whose length is not told.
const CHUNKED_START_BYTES: usize = 16 * 1024;

/// What a body may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits<'a> {
    pub(super) bytes_max: u64,
    /// A body that stands still for so long is given up.
    pub(super) stall_max: Duration,
    pub(super) budget: &'a Arc<Budget>,
}

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyError {
    /// It is, or says it is, larger than the endpoint takes.
    TooLarge,
    /// Nothing came for too long.
    Stalled,
    /// It broke off or is framed wrongly.
    Broken,
    /// There is no memory for it now.
    NoRoom,
}

/// Reads a body within its limits; one that came with its head is not copied. The share is to be held as long
/// as the bytes are.
pub(super) async fn read(mut body: Incoming, limits: &BodyLimits<'_>) -> Result<(Bytes, Share), BodyError> {
    let BodyLimits { bytes_max, stall_max, budget } = *limits;
    let told = body.size_hint().exact();
    if told.is_some_and(|bytes| bytes > bytes_max) {
        return Err(BodyError::TooLarge);
    }
    let mut share = budget.take(told.unwrap_or(0)).ok_or(BodyError::NoRoom)?;
    let Some(first) = next(&mut body, stall_max).await? else { return Ok((Bytes::new(), share)) };
    if told == Some(first.len() as u64) {
        // Reads the end too, or hyper could not keep the connection.
        return next(&mut body, stall_max).await.map(|_| (first, share));
    }
    let mut all = BytesMut::with_capacity(told.and_then(|n| usize::try_from(n).ok()).unwrap_or(CHUNKED_START_BYTES));
    let mut piece = Some(first);
    while let Some(bytes) = piece {
        if (all.len() + bytes.len()) as u64 > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if told.is_none() && !share.grow(bytes.len() as u64) {
            return Err(BodyError::NoRoom);
        }
        all.extend_from_slice(&bytes);
        piece = next(&mut body, stall_max).await?;
    }
    Ok((all.freeze(), share))
}

/// The next bytes; trailers are read over.
async fn next(body: &mut Incoming, stall_max: Duration) -> Result<Option<Bytes>, BodyError> {
    loop {
        match timeout(stall_max, body.frame()).await {
            Err(_) => return Err(BodyError::Stalled),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
