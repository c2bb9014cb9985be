//! When checkpoints are written, and the end.

use super::{Writer, draft::Draft, log::Trouble};
use crate::{checkpoint, cleaner::Pace};

/// Written at most between two checkpoints, whatever the size of segments.
const BETWEEN_BYTES: u64 = 64 << 20;

impl Writer {
    /// Bytes of frames between two checkpoints.
    pub fn checkpoint_bytes(&self) -> u64 {
        BETWEEN_BYTES.min(self.log.segment_bytes * 2)
    }

    /// A checkpoint that comes with the bytes written. One that finds no room is tried again after as many bytes; whoever wrote
    /// them hears nothing of it, since they are stored.
    pub fn checkpoint_when_due(&mut self) -> Result<(), Trouble> {
        self.bytes_since_checkpoint = 0;
        self.release_when_due()?;
        match self.checkpoint(false).and_then(|()| self.remove_dead_segments()) {
            Ok(()) => {
                self.begin_cleaning(Pace::Busy);
                Ok(())
            }
            Err(Trouble::NoSpace) => {
                tracing::warn!("there is no room for a checkpoint: the next start will take longer");
                Ok(())
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Both files, so that nothing is kept for the older one.
    pub fn checkpoint_twice(&mut self, clean: bool) -> Result<(), Trouble> {
        self.bytes_since_checkpoint = 0;
        self.checkpoint(clean)?;
        self.checkpoint(clean)?;
        self.remove_dead_segments()
    }

    /// Writes the state into the file whose turn it is. What it says is durable before it.
    pub fn checkpoint(&mut self, clean: bool) -> Result<(), Trouble> {
        self.log.sync()?;
        self.write_tries()?;
        self.write_keys()?;
        self.extra.next_segment = self.log.next_segment;
        let header = self.next_header(clean);
        let bytes = {
            let state = self.shared.state();
            checkpoint::encode(&header, &state, &self.extra, &self.shared.options).map_err(Trouble::cipher)?
        };
        checkpoint::write(&*self.shared.disk, &header, &bytes)
            .map_err(|error| Trouble::of("writing a checkpoint", &error))?
            .sync()
            .map_err(|error| Trouble::fatal("syncing a checkpoint", &error))?;
        self.shared.disk.sync_dir("").map_err(|error| Trouble::fatal("syncing the data folder", &error))?;
        self.shared.meters.wrote(bytes.len() as u64);
        self.generation += 1;
        let [_, last] = self.checkpointed;
        self.checkpointed = [last, self.log.end.sequence];
        self.forget_old_tries()?;
        self.forget_old_keys()
    }

    /// The clean end: a closing frame, after which nothing can be torn, and checkpoints that say so.
    pub fn close(&mut self) -> Result<(), Trouble> {
        self.stop_cleaning()?;
        if self.log.active.is_some() {
            let now = (self.shared.options.clock)();
            let closing = Draft::default();
            if self.log.fits(&closing) {
                let applied = self.log.write(&closing, now, true)?;
                self.log.sync()?;
                let _ = self.state().apply(&applied);
            }
            self.seal_active()?;
        }
        self.checkpoint_twice(true)?;
        self.remove_spare()
    }
}
