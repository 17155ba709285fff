//! Proof that connections leave from the addresses of a prefix: the probe that asks a server for the
//! caller's address, and the diagnosis of what goes wrong in between.
//!
//! Nothing here needs privileges; with CAP_NET_RAW the diagnosis sees more. Nothing is changed.

mod advice;
mod attempt;
mod delivery;
mod egress;
mod endpoint;
mod evidence;
mod finding;
mod firewall;
mod inbound;
mod limits;
mod local;
mod probe;
mod report;
mod reported;
mod retry;
mod routes;
mod rules;
mod segments;
mod told;
mod trace;
mod tracking;
mod translation;
mod uplink;
mod verify;
mod ways;
mod wire;

pub use delivery::{Delivery, delivery, leaves_by};
pub use endpoint::{Endpoint, EndpointError, PUBLIC_ENDPOINTS};
pub use report::{Check, Diagnosis, Egress, Outcome, Report};
pub use routes::RoutesError;
pub use verify::{VerifyError, VerifySettings, verify};
