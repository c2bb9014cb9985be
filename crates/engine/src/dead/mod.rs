//! Dead letters: which there are, and of what they died.

mod group;

use crate::{
    DeadFilter, DeadGroup, DeadLetter, Gateway, MessageView, Page, RequestError,
    browse::{browser, lost, page, parse_cursor, text_of, unreadable},
    gateway::Inner,
    limits::PAGE_MAX,
    operation::Renames,
    tasks::blocking,
};
use crossdock_model::{MessageId, Text};
use crossdock_store::{ChannelInfo, ChannelKind, ChannelNumber, Cursor, DeadNote, ReadError, StoredMessage};
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
        let (mut number, mut from) = cursor.map_or(Ok((ChannelNumber(0), None)), parse_place)?;
        let mut items = Vec::new();
        for info in self.0.dead_channels() {
            if info.number < number {
                continue;
            }
            if info.number > number {
                (number, from) = (info.number, None);
            }
            let mut next = Some(from.take().map_or_else(|| self.0.seek(number, 0), Ok)?);
            while let Some(at) = next {
                let page = page(&self.0.shared.channels, number, at, limit).await?;
                let matched = page.messages.into_iter().filter(|message| filter.matches(message, &self.0.renames));
                let mut matched: Vec<_> = matched.take(limit - items.len() + 1).collect();
                let more = (items.len() + matched.len() > limit).then(|| matched.pop()).flatten();
                items.extend(self.0.dead_views(&info, matched).await?);
                if let Some(first_left_out) = more {
                    let next = text_of(&self.0.seek(number, first_left_out.offset)?);
                    let next = Text::from(format!("{}:{next}", number.0));
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
        let (inner, dead) = (std::sync::Arc::clone(&self.0), self.0.dead_channels());
        let gather = move || {
            let mut groups = Groups::default();
            for_each(&inner, &dead, &mut |_, _, note| groups.add(note))?;
            Ok(groups.finish())
        };
        blocking(gather).await.ok_or_else(lost)?
    }
}

impl DeadFilter {
    /// Whether a message is a dead letter that is meant.
    pub(crate) fn matches(&self, message: &StoredMessage, renames: &Renames) -> bool {
        if self.ids.as_ref().is_some_and(|ids| !ids.contains(&message.id())) {
            return false;
        }
        renames.note_of(message).is_some_and(|note| self.matches_note(&note))
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
        let mut infos = self.shared.channels.channels();
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
            let DeadNote { cause, dead_since, target, source, .. } = self.renames.note(notes.dead?);
            Some(DeadLetter { message, cause, dead_since, target, source, redrives: notes.redrives })
        };
        Ok(views.into_iter().zip(notes).filter_map(letter).collect())
    }
}

/// Goes through all dead letters. Blocks.
pub(crate) fn for_each(
    inner: &Inner,
    dead: &[ChannelInfo],
    visit: &mut dyn FnMut(&ChannelInfo, &StoredMessage, &DeadNote),
) -> Result<(), RequestError> {
    let browser = browser(&*inner.shared.channels)?;
    for info in dead {
        let mut from = Some(browser.seek(info.number, 0));
        while let Some(at) = from {
            let page = browser.browse(info.number, &at, PAGE_MAX).map_err(|error| unreadable(&error))?;
            for message in &page.messages {
                if let Some(note) = inner.renames.note_of(message) {
                    visit(info, message, &note);
                }
            }
            from = page.next;
        }
    }
    Ok(())
}

/// Counts the dead letters that are meant. Blocks.
pub(crate) fn count(inner: &Inner, dead: &[ChannelInfo], filter: &DeadFilter) -> Result<u64, RequestError> {
    let mut matched = 0;
    for_each(inner, dead, &mut |_, message, note| {
        let id = filter.ids.as_ref().is_none_or(|ids| ids.contains(&message.id()));
        matched += u64::from(id && filter.matches_note(note));
    })?;
    Ok(matched)
}

fn parse_place(text: &str) -> Result<(ChannelNumber, Option<Cursor>), RequestError> {
    let (number, cursor) = text.split_once(':').ok_or_else(|| unreadable(&ReadError::Cursor))?;
    let number = number.parse().map_err(|_| unreadable(&ReadError::Cursor))?;
    Ok((ChannelNumber(number), Some(parse_cursor(cursor)?)))
}
