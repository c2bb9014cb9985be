//! Dead letters: which there are, and of what they died.

mod group;

use crate::{
    DeadFilter, DeadGroup, DeadLetter, Gateway, MessageView, Page, RequestError,
    browse::{lost, page, parse_cursor, unreadable},
    gateway::Inner,
    limits::PAGE_MAX,
    tasks::blocking,
};
use crossdock_model::{MessageId, Text};
use crossdock_store::{ChannelInfo, ChannelKind, ChannelNumber, DeadNote, Store, StoredMessage};
use group::Groups;

impl Gateway {
    /// Dead letters by queue, oldest first; `limit` at most 1,000.
    ///
    /// # Errors
    /// The cursor is none, or the store cannot be read.
    pub async fn dead_letters(
        &self,
        filter: &DeadFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeadLetter>, RequestError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let (mut number, mut from) = cursor.map_or(Ok((ChannelNumber(0), 0)), parse_place)?;
        let mut items = Vec::new();
        for info in self.0.dead_channels() {
            if info.number < number {
                continue;
            }
            if info.number > number {
                (number, from) = (info.number, 0);
            }
            let mut next = Some(from);
            while let Some(offset) = next {
                let page = page(&self.0.shared.store, number, offset, limit).await?;
                let matched = page.messages.into_iter().filter(|message| filter.matches(message));
                let mut matched: Vec<_> = matched.take(limit - items.len() + 1).collect();
                let more = (items.len() + matched.len() > limit).then(|| matched.pop()).flatten();
                items.extend(self.0.dead_views(&info, matched).await?);
                if let Some(first_left_out) = more {
                    let next = Text::from(format!("{}:{}", number.0, first_left_out.offset));
                    return Ok(Page { items, next: Some(next) });
                }
                next = page.next;
            }
        }
        Ok(Page { items, next: None })
    }

    /// The dead letter of an id; of several the last one.
    ///
    /// # Errors
    /// There is none, or the store cannot be read.
    pub async fn dead_letter(&self, id: MessageId) -> Result<DeadLetter, RequestError> {
        let filter = DeadFilter { ids: Some(vec![id]), ..DeadFilter::default() };
        let page = self.dead_letters(&filter, None, PAGE_MAX).await?;
        let found = page.items.into_iter().max_by_key(|letter| letter.dead_since);
        found.ok_or_else(|| RequestError::NotFound(format!("there is no dead letter `{id}`")))
    }

    /// All dead letters by cause, the largest group first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn dead_groups(&self) -> Result<Vec<DeadGroup>, RequestError> {
        let (store, channels) = (self.0.shared.store.clone(), self.0.dead_channels());
        let gather = move || {
            let mut groups = Groups::default();
            for_each(&store, &channels, &mut |_, _, note| groups.add(note))?;
            Ok(groups.finish())
        };
        blocking(gather).await.ok_or_else(lost)?
    }
}

impl DeadFilter {
    /// Whether a message is a dead letter that is meant.
    pub(crate) fn matches(&self, message: &StoredMessage) -> bool {
        if self.ids.as_ref().is_some_and(|ids| !ids.contains(&message.id())) {
            return false;
        }
        matches!(message.dead_note(), Ok(Some(note)) if self.matches_note(&note))
    }

    fn matches_note(&self, note: &DeadNote) -> bool {
        let route = self.route.as_ref().is_none_or(|route| *route == note.route);
        route && self.code.as_ref().is_none_or(|code| *code == note.cause.code)
    }
}

impl Inner {
    /// The queues that hold dead letters, by number: those of the plan's routes, and those that routes had which are
    /// gone.
    pub(crate) fn dead_channels(&self) -> Vec<ChannelInfo> {
        let mut infos = self.shared.store.channels();
        infos.retain(|info| match self.channels.get(&info.name) {
            Some(channel) => channel.dead_letters,
            None => info.kind == ChannelKind::Queue && info.messages > 0 && info.name.ends_with(".dead"),
        });
        infos.sort_by_key(|info| info.number);
        infos
    }

    async fn dead_views(
        &self,
        info: &ChannelInfo,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<DeadLetter>, RequestError> {
        let notes: Vec<_> = messages.iter().map(|message| message.notes().unwrap_or_default()).collect();
        let views = self.views(info, messages).await?;
        let letter = |(message, notes): (MessageView, crossdock_store::Notes)| {
            let DeadNote { cause, dead_since, target, source, .. } = notes.dead?;
            Some(DeadLetter { message, cause, dead_since, target, source, redrives: notes.redrives })
        };
        Ok(views.into_iter().zip(notes).filter_map(letter).collect())
    }
}

/// Goes through all dead letters. Blocks.
pub(crate) fn for_each(
    store: &Store,
    channels: &[ChannelInfo],
    visit: &mut dyn FnMut(&ChannelInfo, &StoredMessage, &DeadNote),
) -> Result<(), RequestError> {
    for info in channels {
        let mut from = Some(0);
        while let Some(offset) = from {
            let page = store.browse(info.number, offset, PAGE_MAX).map_err(|error| unreadable(&error))?;
            for message in &page.messages {
                if let Ok(Some(note)) = message.dead_note() {
                    visit(info, message, &note);
                }
            }
            from = page.next;
        }
    }
    Ok(())
}

/// Counts the dead letters that are meant. Blocks.
pub(crate) fn count(store: &Store, channels: &[ChannelInfo], filter: &DeadFilter) -> Result<u64, RequestError> {
    let mut matched = 0;
    for_each(store, channels, &mut |_, message, note| {
        let id = filter.ids.as_ref().is_none_or(|ids| ids.contains(&message.id()));
        matched += u64::from(id && filter.matches_note(note));
    })?;
    Ok(matched)
}

fn parse_place(cursor: &str) -> Result<(ChannelNumber, u64), RequestError> {
    let (channel, offset) = cursor.split_once(':').unwrap_or((cursor, ""));
    let number = u32::try_from(parse_cursor(channel)?).unwrap_or(u32::MAX);
    Ok((ChannelNumber(number), parse_cursor(offset)?))
}
