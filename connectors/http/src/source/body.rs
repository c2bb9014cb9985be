//! Reading a request's body within its limits.

use super::budget::{Budget, Share};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// A body that stands still for so long is given up (contract: 408, cut).
const STALL_MAX: Duration = Duration::from_secs(30);
/// What is reserved at once for a body whose length is not told.
const CHUNKED_START_BYTES: usize = 16 * 1024;

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

/// Reads a body of at most `bytes_max`; a body that came with its head is not copied. The share is to be held as long
/// as the bytes are.
pub(super) async fn read(
    mut body: Incoming,
    bytes_max: u64,
    budget: &Arc<Budget>,
) -> Result<(Bytes, Share), BodyError> {
    let told = body.size_hint().exact();
    if told.is_some_and(|bytes| bytes > bytes_max) {
        return Err(BodyError::TooLarge);
    }
    let mut share = budget.take(told.unwrap_or(0)).ok_or(BodyError::NoRoom)?;
    let Some(first) = next(&mut body).await? else { return Ok((Bytes::new(), share)) };
    if told == Some(first.len() as u64) {
        // Reads the end too, or hyper could not keep the connection.
        return next(&mut body).await.map(|_| (first, share));
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
        piece = next(&mut body).await?;
    }
    Ok((all.freeze(), share))
}

/// The next bytes; trailers are read over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        match timeout(STALL_MAX, body.frame()).await {
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
