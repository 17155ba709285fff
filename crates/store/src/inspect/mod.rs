//! What reads a job directory back, without a crawl running in it.

pub(crate) mod cat;
pub(crate) mod check;
pub(crate) mod reading;
pub(crate) mod retry;
pub(crate) mod status;
