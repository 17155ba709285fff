//! A job whose list has grown since it began.

use std::path::Path;

use v6kit_model::Order;

use super::{SqliteLedger, rows};
use crate::description::Description;
use crate::ledger::{Catalog as _, Extent, LedgerError};

impl SqliteLedger {
    /// [`SqliteLedger::open`], where the job may be larger now: what else there is to do about that is done by `grow`,
    /// which is told what the job was, before the ledger has it.
    ///
    /// # Errors
    /// [`LedgerError`], such as that of `grow`.
    pub fn open_grown(
        directory: &Path,
        description: &Description,
        extent: Extent,
        grow: impl FnOnce(&Description) -> Result<(), LedgerError>,
    ) -> Result<Self, LedgerError> {
        if let Some(ledger) = Self::begin(directory, description, extent, None)? {
            return Ok(ledger);
        }
        let ledger = Self::writable(directory)?;
        if ledger.version()? == 0 {
            ledger.create_or_compare(description, extent)?;
        } else {
            ledger.check_format()?;
            let before = ledger.description()?;
            let differences = before.differences_but_list(description);
            let place = directory.display().to_string();
            if !differences.is_empty() {
                return Err(LedgerError::OtherJob { place, differences });
            }
            if before.get(Description::LIST) != description.get(Description::LIST) {
                if before.order() != Order::Sequential {
                    return Err(LedgerError::Shuffled { place });
                }
                grow(&before)?;
                let text = serde_json::json!(description).to_string();
                ledger.query(|database| rows::grow(database, &text, extent))?;
            }
        }
        ledger.load()?;
        Ok(ledger)
    }
}
