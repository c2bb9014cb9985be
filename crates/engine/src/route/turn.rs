//! The loop of a route's task: what wakes it, what it does in a turn, and how it ends.

use super::{RouteEvent, RouteTask, event::Flight, intake::Evaluated, target::Way};
use crate::{crash::Permit, shared::Phase};
use crossdock_model::{Fault, Moment};
use crossdock_store::{CommitError, Completion};
use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::time::{Instant, sleep_until};

/// What woke the loop.
enum Turn {
    Event(RouteEvent),
    /// The first chunk was evaluated.
    Evaluated(Vec<Evaluated>),
    /// A target's session could not be opened.
    NotOpened(usize, Fault),
    /// The store, a link, the clock or the gateway's phase: look around.
    Look,
}

/// Events taken in before the next turn, so that starting and committing is not put off for ever.
const EVENTS_MAX: usize = 4096;

impl RouteTask {
    /// Works until the gateway stops.
    pub async fn run(mut self) {
        self.recover().await;
        self.find_expired();
        let mut phase = self.shared.phase.subscribe();
        loop {
            if let Phase::Draining { by } | Phase::Closing { by } = *phase.borrow_and_update() {
                self.stop(by);
            }
            self.work();
            if self.stopping.is_some_and(|by| self.is_at_rest() || by <= Instant::now()) {
                return self.close().await;
            }
            let turn = tokio::select! {
                biased;
                turn = self.turn() => turn,
                Ok(()) = phase.changed() => Turn::Look,
            };
            match turn {
                Turn::Event(event) => self.take(event),
                Turn::Evaluated(messages) => self.evaluated(messages),
                Turn::NotOpened(target, fault) => self.not_opened(target, &fault),
                Turn::Look => {}
            }
            for _ in 0..EVENTS_MAX {
                let Ok(event) = self.events.try_recv() else { break };
                self.take(event);
            }
        }
    }

    /// Everything that can be done now.
    fn work(&mut self) {
        self.again = false;
        self.extend_leases();
        self.hold_or_release();
        self.forget_dropped();
        self.expire();
        self.ask_permit();
        self.look_at_suspects();
        self.read();
        if !self.held && self.stopping.is_none() && self.permit != Permit::Nothing {
            self.start();
        } else {
            self.take_moves_back();
        }
        self.note_changes();
        self.flush();
        self.dig();
        self.forget_ended();
        self.look_at_targets();
    }

    fn take(&mut self, event: RouteEvent) {
        match event {
            RouteEvent::Results { target, session, results } => self.results(target, session, results),
            RouteEvent::Lost { target, session, loss, unsent } => self.lost(target, session, &loss, unsent),
            RouteEvent::Cold { reader, fetched } => self.read_ended(reader, fetched),
            RouteEvent::Recalled { target, messages } => self.recalled(target, messages),
            RouteEvent::Flushed { sequence, flight, result } => self.flushed(sequence, flight, result.err().as_ref()),
            RouteEvent::Moved { target, offsets, result } => self.moved(target, offsets, result),
            RouteEvent::Exhumed(letters) => self.exhumed(letters),
            RouteEvent::Buried { letters, result } => self.buried(letters, result),
            RouteEvent::Expired(offsets) => self.expired(&offsets),
            RouteEvent::Pause(paused, answer) => {
                self.paused = paused;
                self.hold_or_release();
                // Who asked may have gone.
                let _ = answer.send(());
            }
            RouteEvent::Report(answer) => {
                self.look_at_targets();
                // Who asked may have gone.
                let _ = answer.send(self.report());
            }
            RouteEvent::Locate(offsets, answer) => drop(answer.send(self.locate(&offsets))),
        }
    }

    /// Waits for whatever comes first. Events come before everything else.
    async fn turn(&mut self) -> Turn {
        if self.again {
            // Others get their turn on this thread; what they post is taken in next.
            tokio::task::yield_now().await;
            return Turn::Look;
        }
        let mut timer = pin!(sleep_until(self.wake_at()));
        let bell = std::sync::Arc::clone(&self.bell);
        let mut bell = pin!(bell.notified());
        std::future::poll_fn(|context| {
            if let Poll::Ready(turn) = self.poll_turn(context) {
                return Poll::Ready(turn);
            }
            if bell.as_mut().poll(context).is_ready() || timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(Turn::Look);
            }
            Poll::Pending
        })
        .await
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        // The sender is ours as well, so the channel never ends.
        if let Poll::Ready(Some(event)) = self.events.poll_recv(context) {
            return Poll::Ready(Turn::Event(event));
        }
        for (at, target) in self.targets.iter_mut().enumerate() {
            if let Way::Sink(sink) = &mut target.way
                && let Poll::Ready(fault) = sink.poll(context)
            {
                return Poll::Ready(Turn::NotOpened(at, fault));
            }
        }
        if let Some(chunk) = self.chunks.front_mut()
            && let Poll::Ready(evaluated) = Pin::new(&mut chunk.handle).poll(context)
        {
            return Poll::Ready(match evaluated {
                Ok(evaluated) => Turn::Evaluated(evaluated),
                Err(_) => {
                    // Panics over a message are caught where they happen: only the end of the runtime gets here.
                    self.shared.signals.fail("a thread that evaluated messages was lost");
                    Turn::Evaluated(Vec::new())
                }
            });
        }
        Poll::Pending
    }

    /// When to look around though nothing happens.
    fn wake_at(&self) -> Instant {
        let time = &self.shared.time;
        let now = time.moment();
        let reads = !self.held && self.is_free() && !self.grave.is_full() && self.chunks.is_empty();
        let mut earliest: Option<Moment> = None;
        for (at, target) in self.targets.iter().enumerate() {
            let starts = !self.held && self.permit != Permit::Nothing && !target.is_waiting_for_room();
            let scheduled = if starts { target.wake_at(now) } else { None };
            let expires = target.deadlines.first().map(|at| time.moment_of(at));
            let parked = if reads { self.parked_until(at).map(|due| time.moment_of(due)) } else { None };
            let leased = target.reading.leases.wake_at();
            earliest = [earliest, scheduled, expires, parked, leased].into_iter().flatten().min();
        }
        let leased = self.gate.as_ref().and_then(|gate| gate.reading.leases.wake_at());
        let earliest = [earliest, leased].into_iter().flatten().min();
        let wake = time.instant(earliest);
        let sieve_at = self.gate.as_ref().and_then(|gate| gate.retry_at);
        let moves = self.targets.iter().filter_map(|target| match &target.way {
            Way::Sink(_) => None,
            Way::Channel(way) => way.retry_at(),
        });
        [self.grave.retry_at(), self.outbox.retry_at(), sieve_at, self.stopping]
            .into_iter()
            .flatten()
            .chain(moves)
            .fold(wake, Instant::min)
    }

    fn hold_or_release(&mut self) {
        let held = self.paused || self.grave.is_stuck() || self.outbox.is_stuck() || self.stopping.is_some();
        if held == self.held {
            return;
        }
        self.held = held;
        for target in &mut self.targets {
            if held {
                target.scheduler.hold();
            } else {
                target.scheduler.release();
            }
        }
        self.again |= !held;
    }

    /// Commits what the turn gathered; it rides a frame that is written anyway.
    fn flush(&mut self) {
        let segment_bytes = self.shared.plan.gateway().store.segment_bytes;
        self.outbox.retry(Instant::now());
        while let Some(parcel) = self.outbox.take(segment_bytes) {
            let completion = self.next_flush(Flight::Parcel(parcel.clone()));
            // Nobody waits for company at the end.
            parcel.submit(&*self.shared.channels, &self.fences, self.stopping.is_none(), completion);
        }
        while let Some(txn) = self.sieve() {
            let messages = txn.sieve.as_ref().map(|sieve| sieve.messages.clone()).unwrap_or_default();
            let completion = self.next_flush(Flight::Sieve(messages));
            self.shared.channels.commit(&self.fences, txn, completion);
            self.sieved(self.flushes.0);
        }
    }

    fn next_flush(&mut self, flight: Flight) -> Completion {
        self.flushes.0 += 1;
        let (sequence, events) = (self.flushes.0, self.events_to_self.clone());
        Box::new(move |result| drop(events.send(RouteEvent::Flushed { sequence, flight, result })))
    }

    /// What was fetched stays this gateway's while it is not settled.
    fn extend_leases(&mut self) {
        let (channels, now) = (&*self.shared.channels, self.shared.time.moment());
        for target in &mut self.targets {
            target.reading.leases.extend(channels, &target.claimed.fence, now);
        }
        if let Some(gate) = &mut self.gate {
            gate.reading.leases.extend(channels, &gate.claimed.fence, now);
        }
    }

    fn flushed(&mut self, sequence: u64, flight: Flight, error: Option<&CommitError>) {
        self.flushes.1 = self.flushes.1.max(sequence);
        self.sieve_answered(sequence);
        match (error, flight) {
            (None, Flight::Parcel(parcel)) => self.outbox.stored(&parcel),
            (None, Flight::Sieve(_)) => {}
            (Some(CommitError::NoSpace), Flight::Parcel(parcel)) => self.outbox.refuse(parcel),
            (Some(CommitError::NoSpace), Flight::Sieve(messages)) => self.sieve_refused(messages),
            (Some(error), Flight::Parcel(_) | Flight::Sieve(_)) => self.shared.settlements_failed(error),
        }
    }

    /// The gateway stops: nothing new is sent, what was not handed over yet is taken back.
    fn stop(&mut self, by: Instant) {
        if self.stopping.replace(by).is_some() {
            return;
        }
        self.hold_or_release();
        for target in &mut self.targets {
            let Way::Sink(sink) = &mut target.way else { continue };
            for outgoing in sink.take_back() {
                target.unsent(outgoing.ticket.0);
            }
        }
    }

    /// Whether nothing is on its way, neither to a target nor to the store; dead letters that find no room are not
    /// waited for.
    fn is_at_rest(&self) -> bool {
        let sending = self.targets.iter().any(|target| target.busy() > 0);
        let grave = self.grave.is_empty() || self.grave.is_stuck();
        let settled = self.flushes.0 == self.flushes.1 && !self.outbox.is_stuck();
        !sending && self.under_way == 0 && grave && settled
    }

    /// Ends the sessions. What has no answer now is not settled, and is sent again by the next process.
    async fn close(mut self) {
        let by = self.stopping.unwrap_or_else(Instant::now);
        for target in &mut self.targets {
            if let Way::Sink(sink) = &mut target.way {
                sink.close(by).await;
            }
            let super::target::Target { scheduler, link, .. } = target;
            link.lend(|link| scheduler.close(link));
        }
    }
}
