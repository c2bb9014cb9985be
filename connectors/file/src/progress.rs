//! What of which file is under way, and how far each is settled. Pure: nothing here touches a file.
//!
//! ```text
//!  file    line line line line line line │ not read yet
//!          settled───────┘    └─ given out, not settled (in flight, or to be given again)
//!          the mark: what a restart goes on from; the file is finished when it is read to the end and the mark is there
//! ```

use crate::{identity::Sight, journal::Mark, lines::Place};
use crossdock_connector::{Claim, Received, Settlement, Token, Tracker};
use crossdock_model::{Digest, Envelope};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long what could not be stored waits, where nothing else is said.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A message on its way, kept until it is settled, so that it can be given again without reading it again.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Which file.
    pub file: Digest,
    /// Its sequence number in the file's tracker.
    index: u64,
    life: u64,
    envelope: Arc<Envelope>,
    claim: Claim,
}

/// A file that is under way, or read to its end and kept.
#[derive(Debug)]
pub struct Reading {
    /// Its path when it was seen last.
    pub path: PathBuf,
    /// What it was when it was read.
    pub sight: Sight,
    /// How far it is settled.
    pub mark: Mark,
    tracker: Tracker<(Place, Option<(Digest, u64)>)>,
    phase: Phase,
    /// How far it is read, and its first bytes.
    read: (Place, Option<(Digest, u64)>),
    /// How far the journal knows.
    noted: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Not all of it is read.
    Open,
    /// All of it is read.
    Read,
    /// All is settled: it is being deleted, moved or noted.
    Finishing,
    /// It is finished, and stays.
    Finished,
}

/// A file of which everything is settled.
#[derive(Clone, PartialEq, Debug)]
pub struct Finished {
    /// Which file.
    pub file: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// What it was when it was read; if it is another now, it has grown.
    pub sight: Sight,
    /// How far it was read.
    pub mark: Mark,
}

/// What is under way in a session.
#[derive(Debug)]
pub struct Progress {
    session: u32,
    next_seq: u64,
    in_flight: HashMap<u64, Piece>,
    again: Vec<(Instant, Piece)>,
    files: HashMap<Digest, Reading>,
    /// Files that may wait to be finished.
    ready: Vec<Digest>,
}

impl Progress {
    /// Nothing under way.
    pub fn new(session: u32) -> Self {
        Self {
            session,
            next_seq: 0,
            in_flight: HashMap::new(),
            again: Vec::new(),
            files: HashMap::new(),
            ready: Vec::new(),
        }
    }

    /// The file, if it is under way or finished and kept.
    pub fn get(&self, file: Digest) -> Option<&Reading> {
        self.files.get(&file)
    }

    /// Begins with a file, or goes on with one that has grown or has started anew (then with another `life`).
    pub fn begin(&mut self, path: PathBuf, sight: Sight, mark: Mark) {
        if let Some(reading) = self.files.get_mut(&sight.file)
            && reading.mark.life == mark.life
        {
            (reading.path, reading.sight, reading.phase) = (path, sight, Phase::Open);
            return;
        }
        let noted = mark.place;
        let read = (mark.place, mark.head);
        let reading = Reading { path, sight, mark, tracker: Tracker::new(), phase: Phase::Open, read, noted };
        self.files.insert(sight.file, reading);
    }

    /// Gives out a message of a file that was begun; `end` is the place behind it.
    pub fn receive(
        &mut self,
        file: Digest,
        message: (Envelope, Claim),
        end: Place,
        head: Option<(Digest, u64)>,
    ) -> Option<Received> {
        let reading = self.files.get_mut(&file)?;
        let (index, life) = (reading.tracker.receive((end, head)), reading.mark.life);
        reading.read = (end, head);
        let (envelope, claim) = (Arc::new(message.0), message.1);
        Some(self.give(Piece { file, index, life, envelope, claim }))
    }

    fn give(&mut self, piece: Piece) -> Received {
        let token = Token { session: self.session, scope: 0, seq: self.next_seq };
        self.next_seq += 1;
        let received = Received { token, envelope: Arc::clone(&piece.envelope), claim: Some(piece.claim) };
        self.in_flight.insert(token.seq, piece);
        received
    }

    /// All of the file is read, up to `end`.
    pub fn end(&mut self, file: Digest, end: Place, head: Option<(Digest, u64)>) {
        if let Some(reading) = self.files.get_mut(&file) {
            reading.phase = Phase::Read;
            reading.read = (end, head);
            if reading.is_settled() {
                (reading.mark.place, reading.mark.head) = (end, head);
                self.ready.push(file);
            }
        }
    }

    /// The file cannot be read on; what was given out of it goes its way.
    pub fn leave(&mut self, file: Digest) {
        if let Some(reading) = self.files.get_mut(&file) {
            reading.phase = Phase::Open;
        }
    }

    /// What became of a message. A refused one is as done as a stored one: the engine has counted it.
    pub fn settle(&mut self, token: Token, settlement: &Settlement, now: Instant) {
        if token.session != self.session {
            return;
        }
        match settlement {
            Settlement::Reply(_) => {}
            Settlement::Again { after } => {
                if let Some(piece) = self.in_flight.remove(&token.seq) {
                    self.again.push((now + after.unwrap_or(AGAIN_AFTER), piece));
                }
            }
            Settlement::Stored { .. } | Settlement::Filtered | Settlement::Refused(_) => {
                let Some(piece) = self.in_flight.remove(&token.seq) else { return };
                let Some(reading) = self.files.get_mut(&piece.file) else { return };
                if reading.mark.life == piece.life {
                    let mark = &mut reading.mark;
                    reading.tracker.settle(piece.index, |(end, head)| (mark.place, mark.head) = (end, head));
                    if reading.is_settled() {
                        self.ready.push(piece.file);
                    }
                }
            }
        }
    }

    /// The messages that are due to be given again, at most `limit`.
    pub fn due(&mut self, now: Instant, limit: usize) -> Vec<Received> {
        let mut due = Vec::new();
        while due.len() < limit
            && let Some(at) = self.again.iter().position(|(when, _)| *when <= now)
        {
            let (_, piece) = self.again.remove(at);
            due.push(self.give(piece));
        }
        due
    }

    /// When the next message is due to be given again.
    pub fn due_at(&self) -> Option<Instant> {
        self.again.iter().map(|(when, _)| *when).min()
    }

    /// Whether a file waits to be finished.
    pub const fn has_finished(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The files all of which is read and settled, each given once.
    pub fn take_finished(&mut self) -> Vec<Finished> {
        let mut finished = Vec::new();
        for file in std::mem::take(&mut self.ready) {
            if let Some(reading) = self.files.get_mut(&file).filter(|reading| reading.is_settled()) {
                reading.phase = Phase::Finishing;
                finished.push(reading.finished(file));
            }
        }
        finished
    }

    /// The file is finished and stays, so that it is known when it grows.
    pub fn stays(&mut self, file: Digest) {
        if let Some(reading) = self.files.get_mut(&file) {
            reading.phase = Phase::Finished;
            reading.noted = reading.mark.place;
        }
    }

    /// A file that stays is to be finished once more.
    pub fn finish_again(&mut self, file: Digest) {
        if let Some(reading) = self.files.get_mut(&file).filter(|reading| reading.phase == Phase::Finished) {
            reading.phase = Phase::Read;
            self.ready.push(file);
        }
    }

    /// All of the file was stored before this session, and it is to be finished.
    pub fn read_before(&mut self, path: PathBuf, sight: Sight) {
        self.begin(path, sight, Mark::default());
        self.end(sight.file, Place { byte: sight.size, line: 0 }, None);
    }

    /// The file is gone, or another one now.
    pub fn forget(&mut self, file: Digest) {
        self.files.remove(&file);
    }

    /// The marks that the journal does not know yet.
    pub fn unnoted(&self) -> Vec<Finished> {
        let behind = self.files.iter().filter(|(_, reading)| reading.noted != reading.mark.place);
        behind.map(|(file, reading)| reading.finished(*file)).collect()
    }

    /// The journal knows these marks.
    pub fn noted(&mut self, marks: &[Finished]) {
        for noted in marks {
            if let Some(reading) =
                self.files.get_mut(&noted.file).filter(|reading| reading.mark.life == noted.mark.life)
            {
                reading.noted = noted.mark.place;
            }
        }
    }
}

impl Reading {
    fn is_settled(&self) -> bool {
        self.phase == Phase::Read && self.tracker.outstanding() == 0
    }

    fn finished(&self, file: Digest) -> Finished {
        Finished { file, path: self.path.clone(), sight: self.sight, mark: self.mark.clone() }
    }

    /// How far it is read in this session, and the digest of its first bytes.
    pub const fn read_to(&self) -> (Place, Option<(Digest, u64)>) {
        self.read
    }

    /// Whether there is nothing to read in it while it looks so.
    pub fn is_done_with(&self, sight: Sight) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Finishing => true,
            Phase::Read | Phase::Finished => self.sight == sight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::{MessageId, Timestamp};
    use std::{fs, path::Path};

    fn sight() -> Sight {
        Sight::of(&fs::metadata(Path::new("/")).unwrap())
    }

    fn begun(progress: &mut Progress, life: u64, lines: u64) -> Vec<Token> {
        progress.begin("f".into(), sight(), Mark { life, ..Mark::default() });
        let key = Digest([1; 16]);
        let claim = Claim { key, body: key, window: Duration::ZERO, place: None };
        let envelope = Envelope::new(MessageId::from_digest(key), Timestamp(0), "x");
        let mut give = |line| {
            let end = Place { byte: line * 10, line };
            progress.receive(sight().file, (envelope.clone(), claim), end, None).unwrap().token
        };
        (1..=lines).map(&mut give).collect()
    }

    fn stored() -> Settlement {
        Settlement::Stored { id: MessageId::from_bytes([0; 16]), duplicate: false }
    }

    #[test]
    fn a_file_is_finished_when_read_and_settled_whatever_the_order() {
        let (mut progress, now) = (Progress::new(1), Instant::now());
        let tokens = begun(&mut progress, 0, 3);
        for (at, line) in [(1, 0), (0, 2), (0, 2)] {
            progress.settle(tokens[at], &stored(), now);
            assert_eq!(progress.get(sight().file).unwrap().mark.place.line, line);
        }
        assert_eq!(progress.unnoted().len(), 1);
        progress.end(sight().file, Place { byte: 30, line: 3 }, None);
        assert!(!progress.has_finished());
        progress.settle(Token { session: 0, ..tokens[2] }, &stored(), now);
        assert!(!progress.has_finished(), "a token of another session says nothing");
        progress.settle(tokens[2], &Settlement::Filtered, now);
        assert_eq!((progress.take_finished().len(), progress.take_finished().len()), (1, 0));
        progress.stays(sight().file);
        assert!(progress.unnoted().is_empty() && progress.get(sight().file).unwrap().is_done_with(sight()));
    }

    #[test]
    fn what_could_not_be_stored_is_given_again_when_due() {
        let (mut progress, now) = (Progress::new(1), Instant::now());
        let tokens = begun(&mut progress, 0, 2);
        let after = Some(Duration::from_secs(5));
        progress.settle(tokens[0], &Settlement::Again { after }, now);
        progress.settle(tokens[1], &stored(), now);
        assert!(progress.due(now, 9).is_empty());
        let again = progress.due(progress.due_at().unwrap(), 9);
        assert_eq!((again.len(), again[0].token.seq, progress.due_at()), (1, 2, None));
        progress.settle(again[0].token, &stored(), now);
        assert_eq!(progress.get(sight().file).unwrap().mark.place.line, 2);
    }

    #[test]
    fn a_file_that_started_anew_is_not_marked_by_its_former_life() {
        let (mut progress, now) = (Progress::new(1), Instant::now());
        let old = begun(&mut progress, 0, 2);
        let new = begun(&mut progress, 1, 1);
        progress.settle(old[0], &stored(), now);
        progress.settle(old[1], &stored(), now);
        assert_eq!(progress.get(sight().file).unwrap().mark.place.line, 0);
        progress.settle(new[0], &stored(), now);
        assert_eq!(progress.get(sight().file).unwrap().mark.place.line, 1);
    }
}
