//! A folder of the system's.

use std::{io, path::Path};

/// A folder of the system's.
#[derive(Debug)]
pub struct RealDisk;

impl RealDisk {
    /// The folder, which is made if it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(folder: &Path) -> io::Result<Self> {
        todo!("{folder:?}")
    }
}
