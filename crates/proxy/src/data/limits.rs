//! What one user may use.

use std::time::Duration;

/// What each user may use. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UserLimits {
    /// Client connections at a time.
    pub connections: Option<u32>,
    /// Tunnels, requests and associations begun per second, with bursts of one second's worth.
    pub rate: Option<f64>,
    /// Bytes in both directions per period.
    pub bytes: Option<ByteBudget>,
}

/// An amount of bytes per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteBudget {
    /// Bytes, both directions together.
    pub bytes: u64,
    /// The period, which begins with the process and repeats.
    pub per: Duration,
}
