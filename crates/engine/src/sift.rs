//! Looking for messages by a condition, where they stand.

use crate::{
    Gateway, MessageView, Page, RequestError,
    browse::{browser, lost, parse_cursor, text_of, unreadable},
    gateway::no_channel,
    limits::{PAGE_MAX, SIFT_MESSAGES_MAX, SIFT_PAGE},
    tasks::{blocking, catch},
};
use crossdock_expression::{Compiler, Program, Use};
use crossdock_rules::Working;
use crossdock_store::{ChannelNumber, Channels, Cursor, StoredMessage};
use std::sync::Arc;

/// What looking through a part of a channel gave.
struct Sifted {
    messages: Vec<StoredMessage>,
    next: Option<Cursor>,
}

impl Gateway {
    /// What stands in a channel and fulfils a condition, oldest first, without consuming it; `limit` at most 1,000. It
    /// looks at a bounded number of messages: there may be few items, or none, and yet more to come. One over which the
    /// condition fails (it cannot be decoded) does not fulfil it.
    ///
    /// # Errors
    /// As for [`Gateway::browse`], or the condition is none.
    pub async fn browse_where(
        &self,
        channel: &str,
        condition: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<MessageView>, RequestError> {
        let info = self.0.channel_info(channel).ok_or_else(|| no_channel(channel))?;
        let from = cursor.map_or_else(|| self.0.seek(info.number, 0), parse_cursor)?;
        let (condition, limit) = (compile(condition)?, limit.clamp(1, PAGE_MAX));
        let (channels, number) = (Arc::clone(&self.0.shared.channels), info.number);
        let sifted = blocking(move || sift(&*channels, number, from, limit, &condition)).await.ok_or_else(lost)??;
        let items = self.0.views(&info, sifted.messages).await?;
        Ok(Page { items, next: sifted.next.as_ref().map(text_of) })
    }
}

fn compile(condition: &str) -> Result<Program, RequestError> {
    Compiler::new().compile(condition, Use::Condition).map_err(|errors| {
        let told = errors.into_iter().map(|error| match error.hint {
            Some(hint) => format!("{} (at byte {}; {hint})", error.message, error.range.start),
            None => format!("{} (at byte {})", error.message, error.range.start),
        });
        RequestError::Invalid(format!("the condition `{condition}`: {}", told.collect::<Vec<_>>().join("; ")))
    })
}

/// Looks through a channel until it has found enough or looked long enough. Blocks.
fn sift(
    channels: &dyn Channels,
    channel: ChannelNumber,
    from: Cursor,
    limit: usize,
    condition: &Program,
) -> Result<Sifted, RequestError> {
    let browser = browser(channels)?;
    let (mut messages, mut looked, mut next) = (Vec::new(), 0, Some(from));
    while let Some(at) = next.as_ref().filter(|_| looked < SIFT_MESSAGES_MAX) {
        let page = browser.browse(channel, at, SIFT_PAGE).map_err(|error| unreadable(&error))?;
        let last = page.messages.last().map(|message| message.offset);
        next = page.next;
        for message in page.messages {
            looked += 1;
            let offset = message.offset;
            if holds(condition, &message) {
                messages.push(message.detached());
            }
            if messages.len() >= limit {
                let is_last = last == Some(offset) && next.is_none();
                return Ok(Sifted { messages, next: (!is_last).then(|| browser.seek(channel, offset + 1)) });
            }
        }
    }
    Ok(Sifted { messages, next })
}

fn holds(condition: &Program, message: &StoredMessage) -> bool {
    let Ok(envelope) = message.envelope() else { return false };
    let mut working = Working::new(Arc::new(envelope));
    catch(|| working.condition(condition)).is_ok_and(|result| result.unwrap_or(false))
}
