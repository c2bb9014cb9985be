//! A session of a source: receive → accept → append → settle.
//!
//! One loop over one closed set of turns. Answers of the store and settlements are served before anything new is
//! received. It cannot stand still for ever: the store answers every commit through a channel without bound (which
//! holds at most what the source's bounds let in), and neither half of the source waits for the other.

use super::{
    board::Board,
    commit::{Pending, Settled, assemble},
    door::{DoorPlan, Judged},
    settling::{Settling, panicked},
};
use crate::{SourceState, account::DoorEnd, limits, room::RoomWatch, shared::Phase, tasks::caught};
use crossdock_connector::{Credit, Event, Received, Receiver, Settlement, Settler, SourceError, Token};
use crossdock_model::{Refusal, Text};
use crossdock_store::{CommitError, Committed};
use std::{collections::VecDeque, sync::Arc};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

/// How a session ended.
pub(crate) enum SessionEnd {
    /// The gateway stops.
    Stopped,
    /// Nothing more will come.
    Ended,
    /// It was lost, and another is to be opened.
    Lost(SourceError),
}

/// A source at work.
pub(crate) struct Session<'a> {
    plan: &'a Arc<DoorPlan>,
    board: &'a Board,
    /// What the peer does not let through.
    blocked: Option<Text>,
    receiver: Box<dyn Receiver>,
    settling: Settling,
    /// Being judged on worker tasks, in order of receipt.
    judging: VecDeque<JoinHandle<Vec<Judged>>>,
    /// Judged and not submitted.
    waiting: VecDeque<Judged>,
    commits: usize,
    answers: (mpsc::UnboundedSender<Answer>, mpsc::UnboundedReceiver<Answer>),
    /// Received and not settled.
    load: Load,
    /// When what found no room is tried again.
    retry_at: Option<Instant>,
    room: RoomWatch,
    /// Received and not settled by scope; there are few.
    scopes: Vec<(u32, usize)>,
    revoking: Vec<(u32, Instant)>,
    intake: Intake,
    phase: watch::Receiver<Phase>,
    paused: watch::Receiver<bool>,
    /// Whether anything came.
    pub lively: bool,
}

type Answer = (Pending, Result<Committed, CommitError>);

#[derive(Default)]
struct Load {
    messages: usize,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Intake {
    Open,
    Ended,
    Stopped,
}

/// What woke the loop.
enum Turn {
    Settled(Result<(), SourceError>),
    Answered(Answer),
    Judged(Vec<Judged>),
    Due,
    Signalled,
    Received(Result<Event, SourceError>),
}

impl<'a> Session<'a> {
    /// A session that has just been opened.
    pub fn new(
        plan: &'a Arc<DoorPlan>,
        board: &'a Board,
        (receiver, settler): (Box<dyn Receiver>, Box<dyn Settler>),
        paused: watch::Receiver<bool>,
    ) -> Self {
        Self {
            plan,
            board,
            blocked: None,
            receiver,
            settling: Settling::new(settler),
            judging: VecDeque::new(),
            waiting: VecDeque::new(),
            commits: 0,
            answers: mpsc::unbounded_channel(),
            load: Load::default(),
            retry_at: None,
            room: RoomWatch::new(),
            scopes: Vec::new(),
            revoking: Vec::new(),
            intake: Intake::Open,
            phase: plan.shared.phase.subscribe(),
            paused,
            lively: false,
        }
    }

    /// Works until the session ends.
    pub async fn run(&mut self) -> SessionEnd {
        loop {
            self.obey();
            self.submit();
            if self.intake != Intake::Open && self.is_drained() {
                return if self.intake == Intake::Ended { SessionEnd::Ended } else { SessionEnd::Stopped };
            }
            let outcome = match self.turn().await {
                Turn::Settled(result) => result,
                Turn::Answered(answer) => {
                    self.answered(answer);
                    Ok(())
                }
                Turn::Judged(judged) => {
                    self.waiting.extend(judged);
                    Ok(())
                }
                Turn::Due | Turn::Signalled => Ok(()),
                Turn::Received(event) => event.map(|event| self.received(event)),
            };
            if let Err(error) = outcome {
                self.abandon().await;
                return SessionEnd::Lost(error);
            }
        }
    }

    /// Gives up what is left, and hands over the settler, which has to say goodbye.
    pub fn end(self) -> Settling {
        self.plan.shared.budget.give(self.load.bytes);
        self.settling
    }

    async fn turn(&mut self) -> Turn {
        let credit = self.credit();
        let due = self.revoking.iter().map(|(_, by)| *by).chain(self.retry_at).min();
        let Self { receiver, settling, judging, answers, phase, paused, .. } = self;
        let judged = async {
            match judging.front_mut() {
                Some(front) => front.await,
                None => std::future::pending().await,
            }
        };
        let turn = tokio::select! {
            biased;
            result = std::future::poll_fn(|context| settling.poll(context)) => Turn::Settled(result),
            Some(answer) = answers.1.recv() => Turn::Answered(answer),
            judged = judged => Turn::Judged(judged.unwrap_or_default()),
            () = sleep_until(due) => Turn::Due,
            Ok(()) = phase.changed() => Turn::Signalled,
            // The sender is gone where nobody pauses the door.
            Ok(()) = paused.changed() => Turn::Signalled,
            event = next(receiver.as_mut(), credit) => Turn::Received(event),
        };
        if matches!(turn, Turn::Judged(_)) {
            self.judging.pop_front();
        }
        turn
    }

    /// How much may be received now; none while nothing may.
    fn credit(&self) -> Option<Credit> {
        let held = !self.plan.tells && (self.retry_at.is_some() || *self.paused.borrow());
        if self.intake != Intake::Open || held {
            return None;
        }
        let messages = limits::SOURCE_MESSAGES_MAX.saturating_sub(self.load.messages);
        let bytes = limits::SOURCE_BYTES_MAX.saturating_sub(self.load.bytes);
        let bytes = self.plan.shared.budget.grant(bytes, self.load.bytes);
        (messages > 0 && bytes > 0).then_some(Credit { messages, bytes })
    }

    /// Looks at what the gateway wants, and at scopes that are to be given back.
    fn obey(&mut self) {
        match *self.phase.borrow_and_update() {
            Phase::Running => {}
            // Who hears an answer gets it: the connector takes nothing new by itself.
            Phase::Draining { .. } if self.plan.tells => {}
            Phase::Draining { .. } | Phase::Closing { .. } => {
                if self.intake == Intake::Open {
                    self.intake = Intake::Stopped;
                }
                // The peer has these still.
                self.waiting.clear();
                self.retry_at = None;
            }
        }
        self.paused.borrow_and_update();
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = self.room.look(&*self.plan.shared.channels);
        }
        let Self { revoking, scopes, settling, .. } = self;
        revoking.retain(|(scope, by)| {
            let left = scopes.iter().find(|(of, _)| of == scope).map_or(0, |(_, count)| *count);
            let done = left == 0 || *by <= now;
            if done {
                settling.release(*scope);
                scopes.retain(|(of, _)| of != scope);
            }
            !done
        });
    }

    fn is_drained(&self) -> bool {
        self.commits == 0 && self.waiting.is_empty() && self.judging.is_empty() && self.settling.is_idle()
    }

    fn received(&mut self, event: Event) {
        match event {
            Event::Messages(messages) => self.take(messages),
            Event::Refused(refused) => self.refuse(refused),
            Event::Revoking { scope, by } => {
                // What is not submitted is the peer's to give to somebody else; what is submitted still counts.
                let (dropped, kept) =
                    std::mem::take(&mut self.waiting).into_iter().partition(|message| message.token.scope == scope);
                self.waiting = kept;
                let dropped: VecDeque<Judged> = dropped;
                for message in dropped {
                    self.unload(message.token, message.bytes);
                }
                self.revoking.push((scope, Instant::from_std(by)));
            }
            Event::Blocked(reason) => {
                self.blocked = Some(Text::from(reason));
                self.board.set(&self.plan.shared.time, SourceState::Up, self.blocked.clone());
            }
            Event::Unblocked => {
                self.blocked = None;
                self.board.set(&self.plan.shared.time, SourceState::Up, None);
            }
            Event::End => self.intake = Intake::Ended,
        }
    }

    fn take(&mut self, messages: Vec<Received>) {
        self.lively = true;
        let bytes = messages.iter().map(|message| message.envelope.bytes().len()).sum();
        self.load.messages += messages.len();
        self.load.bytes += bytes;
        self.plan.shared.budget.take(bytes);
        for message in &messages {
            self.count_scope(message.token.scope);
        }
        if self.plan.tells && *self.paused.borrow() {
            let mut settled = Settled::default();
            for message in messages {
                settled.push(message.token, Settlement::Again { after: None }, message.envelope.bytes().len());
            }
            return self.settle(settled);
        }
        let cheap = self.plan.evaluator.route().accept.is_empty();
        if self.judging.is_empty() && (cheap || messages.len() < limits::PARALLEL_MESSAGES_MIN) {
            self.waiting.extend(self.plan.judge(messages));
            return;
        }
        let mut messages = messages.into_iter();
        loop {
            let chunk: Vec<_> = messages.by_ref().take(limits::CHUNK_MESSAGES).collect();
            if chunk.is_empty() {
                return;
            }
            let plan = Arc::clone(self.plan);
            self.judging.push_back(tokio::spawn(async move { plan.judge(chunk) }));
        }
    }

    /// Accounts for what can be no message, so that it does not reach `accept`.
    fn refuse(&mut self, refused: Vec<(Token, Refusal)>) {
        self.lively = true;
        self.load.messages += refused.len();
        let mut settled = Settled::default();
        for (token, refusal) in refused {
            self.count_scope(token.scope);
            self.plan.door.count_end(DoorEnd::Refused, 1);
            settled.push(token, Settlement::Refused(refusal), 0);
        }
        self.settle(settled);
    }

    /// Submits what is judged. A source that holds what finds no room has one commit under way, so that nothing is
    /// stored before what came earlier; one that tells may have many.
    fn submit(&mut self) {
        while !self.waiting.is_empty() && self.retry_at.is_none() && (self.plan.tells || self.commits == 0) {
            let mut settled = Settled::default();
            let commit = assemble(self.plan, &mut self.waiting, &mut settled);
            self.settle(settled);
            if let Some((txn, pending)) = commit {
                self.commits += 1;
                let answers = self.answers.0.clone();
                let completion = move |result| drop(answers.send((pending, result)));
                self.plan.shared.channels.commit(&[], txn, Box::new(completion));
            }
        }
    }

    fn answered(&mut self, answer: Answer) {
        let mut settled = Settled::default();
        let mut next = Some(answer);
        while let Some((pending, result)) = next {
            self.commits -= 1;
            pending.settle(self.plan, result, &mut settled);
            next = self.answers.1.try_recv().ok();
        }
        self.settle(settled);
    }

    /// Hands settlements to the settler, and keeps what found no room.
    fn settle(&mut self, settled: Settled) {
        self.plan.door.count_received(settled.received);
        let some = !settled.settlements.is_empty();
        for (token, _, bytes) in &settled.settlements {
            self.unload(*token, *bytes);
        }
        self.settling.add(settled.settlements.into_iter().map(|(token, settlement, _)| (token, settlement)));
        let time = &self.plan.shared.time;
        if settled.again.is_empty() {
            if self.retry_at.is_none() && self.commits == 0 && !self.plan.tells {
                self.board.set(time, SourceState::Up, self.blocked.clone());
            }
            return;
        }
        let (channels, full) = (&*self.plan.shared.channels, self.plan.wants_room_in(settled.again.front()));
        let names: Vec<_> = full.iter().map(|channel| &*channel.name).collect();
        let reason = format!("no room in {}: what was received waits and nothing more is asked for", names.join(", "));
        self.board.set(time, SourceState::Up, Some(Text::from(reason)));
        self.retry_at = Some(self.room.found_none(some, channels, full.iter().map(|channel| channel.number)));
        for message in settled.again.into_iter().rev() {
            self.waiting.push_front(message);
        }
    }

    fn count_scope(&mut self, scope: u32) {
        match self.scopes.iter_mut().find(|(of, _)| *of == scope) {
            Some((_, count)) => *count += 1,
            None => self.scopes.push((scope, 1)),
        }
    }

    /// A message is no longer the source's to settle.
    fn unload(&mut self, token: Token, bytes: usize) {
        self.load.messages = self.load.messages.saturating_sub(1);
        self.load.bytes = self.load.bytes.saturating_sub(bytes);
        self.plan.shared.budget.give(bytes);
        if let Some(at) = self.scopes.iter().position(|(of, _)| *of == token.scope)
            && let Some((_, count)) = self.scopes.get_mut(at)
        {
            *count = count.saturating_sub(1);
            // One that has none is given back, or has more later: those of past rebalances do not pile up.
            if *count == 0 {
                self.scopes.swap_remove(at);
            }
        }
    }

    /// The session is lost: what is not submitted is the peer's to give again; what is submitted is counted when the
    /// store has answered, though nobody hears of it.
    async fn abandon(&mut self) {
        self.waiting.clear();
        while let Some(judging) = self.judging.pop_front() {
            judging.abort();
        }
        while self.commits > 0 {
            let Some(answer) = self.answers.1.recv().await else { break };
            self.answered(answer);
        }
    }
}

async fn next(receiver: &mut dyn Receiver, credit: Option<Credit>) -> Result<Event, SourceError> {
    match credit {
        Some(credit) => caught(receiver.next(credit)).await.unwrap_or_else(|panic| Err(panicked(&panic))),
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
