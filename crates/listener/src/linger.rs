//! The end of a connection that the gateway closes.
//!
//! A socket that is closed with something unread sends a reset, and a reset makes the peer's kernel or client throw away
//! the answer that was just sent (a 413 while the body still comes). So: shut down for writing, then read what comes
//! until the peer closes too, for a while.

use crate::wire::Wire;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

/// A peer that sends nothing for so long has read the answer or never will.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// A peer that goes on sending for so long does not listen.
const LINGER_MAX: Duration = Duration::from_secs(15);
const SCRATCH_BYTES: usize = 16 * 1024;

/// Writes the last words, if any, and closes once the peer has read or has had its time.
pub(crate) async fn close(mut wire: Wire, last_words: &[u8]) {
    let end = Instant::now() + LINGER_MAX;
    let write = async {
        wire.write_all(last_words).await?;
        wire.shutdown().await
    };
    if !matches!(timeout(SILENCE_MAX, write).await, Ok(Ok(()))) {
        return;
    }
    let mut scratch = vec![0; SCRATCH_BYTES];
    let drain = async { while matches!(timeout(SILENCE_MAX, wire.read(&mut scratch)).await, Ok(Ok(1..))) {} };
    // Either way the connection ends here: the peer closed, fell silent, or had its time.
    let _ = timeout_at(end, drain).await;
}
