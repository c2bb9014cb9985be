//! Declarations: what is new becomes a frame, what is known only its bounds.

use super::{Declare, Writer, draft::Draft, log::Trouble};
use crate::{
    Amendment, ChannelKind, ChannelNumber, ChannelSpec, DeclareError, Start, SubscriptionNumber, SubscriptionSpec,
    cleaner::{retaining, retaining_name},
    format::{Declaration, RecordKind, put_declaration},
    state::{Bounds, Channel, State, Subscription},
};
use crossdock_model::Text;
use std::collections::HashMap;

impl Writer {
    /// Declares, durably, and returns the numbers in the order asked for.
    pub fn declare(&mut self, declare: Declare) -> Result<Vec<u32>, DeclareError> {
        if let Some(why) = self.shared.failure() {
            return Err(crate::CommitError::Failed(why.clone()).into());
        }
        let mut draft = Draft::default();
        let numbers = {
            let state = self.state();
            match &declare {
                Declare::Channels(specs) => channels(&state, specs, &mut draft)?,
                Declare::Subscriptions(specs) => subscriptions(&state, specs, &mut draft)?,
                Declare::Amendments(amendments) => amend(&state, amendments, &mut draft)?,
            }
        };
        if !draft.is_empty() {
            self.write_declarations(&draft).map_err(|trouble| self.give_up(&trouble))?;
        }
        if let Declare::Channels(specs) = declare {
            let mut state = self.state();
            for (number, spec) in numbers.iter().zip(specs) {
                let ChannelSpec { bytes_max, messages_max, when_full, retain, dead_letter, .. } = spec;
                let dead_letter = dead_letter.and_then(|name| state.channel_numbers.get(&name).copied());
                if let Some(channel) = state.channels.get_mut(*number) {
                    channel.dead_letter = dead_letter.filter(|to| to != number);
                    channel.bounds = Bounds { bytes_max, messages_max, when_full, retain };
                }
            }
        }
        Ok(numbers)
    }

    fn write_declarations(&mut self, draft: &Draft) -> Result<(), Trouble> {
        let now = (self.shared.options.clock)();
        self.write(draft, now, true)
    }
}

fn channels(state: &State, specs: &[ChannelSpec], draft: &mut Draft) -> Result<Vec<u32>, DeclareError> {
    let mut fresh: HashMap<&Text, u32> = HashMap::new();
    let mut numbers = Vec::with_capacity(specs.len());
    let mut next_reader = state.subscriptions.next_number();
    for spec in specs {
        let known = state.channel_numbers.get(&spec.name).or_else(|| fresh.get(&spec.name)).copied();
        if let Some(kind) = known.and_then(|number| state.channels.get(number)).map(|channel| channel.kind)
            && kind != spec.kind
        {
            let name = &spec.name;
            return Err(conflict(format!(
                "`{name}` is a channel of another kind in the store: give the new one another name, or empty and remove the old one"
            )));
        }
        let number = known.unwrap_or_else(|| {
            let number = state.channels.next_number() + fresh.len() as u32;
            push(draft, number, &Declaration::Channel { kind: spec.kind, name: spec.name.clone() });
            number
        });
        if known.is_none() {
            fresh.insert(&spec.name, number);
        }
        retain(state, spec, number, &mut next_reader, draft);
        numbers.push(number);
    }
    Ok(numbers)
}

/// Declares, or ends, the subscription that retains what a topic keeps.
fn retain(state: &State, spec: &ChannelSpec, number: u32, next_reader: &mut u32, draft: &mut Draft) {
    let channel = state.channels.get(number);
    let wanted = spec.retain.is_some() && spec.kind == ChannelKind::Topic;
    match channel.and_then(|channel| retaining(state, channel)) {
        None if wanted => {
            let name = Text::from(retaining_name(number));
            let start = channel.map_or(0, |channel| channel.done.floor());
            push(draft, *next_reader, &Declaration::Subscription { channel: number, start, group: name.clone(), name });
            *next_reader += 1;
        }
        Some((reader, _)) if !wanted => push(draft, reader, &Declaration::SubscriptionRetired),
        Some(_) | None => {}
    }
}

fn subscriptions(
    state: &State,
    specs: &[(SubscriptionSpec, Option<u64>)],
    draft: &mut Draft,
) -> Result<Vec<u32>, DeclareError> {
    let mut fresh: HashMap<&Text, u32> = HashMap::new();
    let mut numbers = Vec::with_capacity(specs.len());
    for (spec, at) in specs {
        let channel_number = spec.channel.0;
        let channel = channel(state, spec.channel)?;
        let known = state.subscription_numbers.get(&spec.name).or_else(|| fresh.get(&spec.name)).copied();
        if let Some((number, subscription)) = known.and_then(|number| Some((number, state.subscriptions.get(number)?)))
        {
            if subscription.channel != channel_number {
                let name = &spec.name;
                return Err(conflict(format!(
                    "the subscription `{name}` reads another channel: give one of them a name"
                )));
            }
            if subscription.group != spec.group {
                push(draft, number, &renamed(subscription, &spec.name, &spec.group));
            }
        }
        let number = known.unwrap_or_else(|| {
            let number = state.subscriptions.next_number() + fresh.len() as u32;
            let start = start_of(spec.start, *at, channel);
            let (name, group) = (spec.name.clone(), spec.group.clone());
            push(draft, number, &Declaration::Subscription { channel: channel_number, start, name, group });
            number
        });
        if known.is_none() {
            fresh.insert(&spec.name, number);
        }
        numbers.push(number);
    }
    Ok(numbers)
}

fn start_of(start: Start, at: Option<u64>, channel: &Channel) -> u64 {
    match start {
        Start::Earliest => channel.done.floor(),
        Start::Latest => channel.next_offset,
        Start::At(_) => at.unwrap_or(channel.next_offset).clamp(channel.done.floor(), channel.next_offset),
    }
}

fn amend(state: &State, amendments: &[Amendment], draft: &mut Draft) -> Result<Vec<u32>, DeclareError> {
    for amendment in amendments {
        match amendment {
            Amendment::RenameChannel { channel: number, name } => {
                let known = channel(state, *number)?;
                free(state.channel_numbers.get(name), number.0, name)?;
                push(draft, number.0, &Declaration::Channel { kind: known.kind, name: name.clone() });
            }
            Amendment::RenameSubscription { subscription: number, name, group } => {
                let known = subscription(state, *number)?;
                free(state.subscription_numbers.get(name), number.0, name)?;
                push(draft, number.0, &renamed(known, name, group));
            }
            Amendment::RetireSubscription { subscription: number } => {
                subscription(state, *number)?;
                push(draft, number.0, &Declaration::SubscriptionRetired);
            }
            Amendment::RetireChannel { channel: number } => {
                channel(state, *number)?;
                push(draft, number.0, &Declaration::ChannelRetired);
            }
        }
    }
    Ok(Vec::new())
}

fn renamed(subscription: &Subscription, name: &Text, group: &Text) -> Declaration {
    let Subscription { channel, start, .. } = subscription;
    Declaration::Subscription { channel: *channel, start: *start, name: name.clone(), group: group.clone() }
}

fn free(holder: Option<&u32>, number: u32, name: &Text) -> Result<(), DeclareError> {
    match holder {
        Some(holder) if *holder != number => Err(conflict(format!("the store has something called `{name}` already"))),
        Some(_) | None => Ok(()),
    }
}

fn channel(state: &State, number: ChannelNumber) -> Result<&Channel, DeclareError> {
    let unknown = || conflict(format!("the store has no channel of number {}", number.0));
    state.channels.get(number.0).ok_or_else(unknown)
}

fn subscription(state: &State, number: SubscriptionNumber) -> Result<&Subscription, DeclareError> {
    let unknown = || conflict(format!("the store has no subscription of number {}", number.0));
    state.subscriptions.get(number.0).ok_or_else(unknown)
}

fn push(draft: &mut Draft, number: u32, declaration: &Declaration) {
    draft.push_small(RecordKind::Declare, number, 0, |to| put_declaration(to, declaration));
}

fn conflict(why: String) -> DeclareError {
    DeclareError::Conflict(Text::from(why))
}
