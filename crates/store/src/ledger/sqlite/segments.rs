//! What a ledger knows of the files beside it.

use std::collections::BTreeMap;

use super::{SqliteLedger, rows};
use crate::ledger::{Known, LedgerError};

impl SqliteLedger {
    /// Notes that the file of segment `number` is this job's, before it is made.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn reserve_segment(&self, number: u64) -> Result<(), LedgerError> {
        self.query(|database| rows::reserve(database, number))
    }

    /// What this ledger knows of segments.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn known_segments(&self) -> Result<BTreeMap<u64, Known>, LedgerError> {
        self.query(rows::known)
    }

    /// The same of those with committed records, which also ledgers of earlier releases tell that are only read.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn committed_segments(&self) -> Result<BTreeMap<u64, Known>, LedgerError> {
        self.query(rows::committed)
    }

    /// What tells this job from all others: a word that was drawn when its ledger was made.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn identity(&self) -> Result<String, LedgerError> {
        self.query(rows::identity)
    }

    /// Files whose records others have are gone by now.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn forget_superseded(&self) -> Result<(), LedgerError> {
        self.query(rows::forget_superseded)
    }
}
