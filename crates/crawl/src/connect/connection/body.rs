//! Reading a body to its end.

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming};
use v6kit_model::{ErrorKind, Fault};

/// Why a body is not whole.
pub(super) enum BodyError {
    /// It is larger than allowed.
    TooLarge(Fault),
    /// It broke off, or makes no sense.
    Broken(hyper::Error),
}

/// All of `body`, whose frames `next` brings. One that comes in a single piece is not copied.
pub(super) async fn read(
    mut body: Incoming,
    max_body: u64,
    mut next: impl AsyncFnMut(&mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>>,
) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > max_body {
        return Err(too_large(max_body));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while !body.is_end_stream() {
        let Some(frame) = next(&mut body).await else {
            break;
        };
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else {
            continue;
        };
        if (first.len() + all.len() + data.len()) as u64 > max_body {
            return Err(too_large(max_body));
        }
        if all.is_empty() && first.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large(max_body: u64) -> BodyError {
    BodyError::TooLarge(Fault::new(
        ErrorKind::BodyTooLarge,
        format!("the body is larger than {max_body} bytes"),
    ))
}
