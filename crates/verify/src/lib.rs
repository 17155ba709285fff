//! Proof that connections leave from the addresses of a prefix: the probe that asks a server for the
//! caller's address, and the diagnosis of what goes wrong in between.
//!
//! Nothing here needs privileges; with CAP_NET_RAW the diagnosis sees more. Nothing is changed.

mod advice;
mod attempt;
mod diagnosis;
mod egress;
mod endpoint;
mod inbound;
mod limits;
mod local;
mod probe;
mod report;
mod reported;
mod routes;
mod second_look;
mod trace;
mod tracking;
mod uplink;
mod verify;
mod wire;

pub use endpoint::{Endpoint, EndpointError, PUBLIC_ENDPOINTS};
pub use report::{Check, Diagnosis, Egress, Outcome, Report};
pub use routes::RoutesError;
pub use verify::{VerifyError, VerifySettings, verify};
