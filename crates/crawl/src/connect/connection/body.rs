//! Reading a body to its end.

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming};
use v6kit_model::{ErrorKind, Fault};

/// The largest frame of a server that was told nothing else (RFC 9113 section 6.5.2), in bytes.
const USUAL_FRAME: usize = 16 * 1024;

/// Why a body is not whole.
pub(super) enum BodyError {
    /// It is larger than allowed.
    TooLarge(Fault),
    /// It broke off, or makes no sense.
    Broken(hyper::Error),
}

/// All of `body`, whose frames `next` brings; it is told how many bytes there may be in memory after it. A length is only a
/// promise. One that comes in a single piece is not copied.
pub(super) async fn read(
    mut body: Incoming,
    max_body: u64,
    mut next: impl AsyncFnMut(&mut Incoming, usize) -> Option<Result<Frame<Bytes>, hyper::Error>>,
) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > max_body {
        return Err(too_large(max_body));
    }
    let whole = body
        .size_hint()
        .exact()
        .and_then(|bytes| usize::try_from(bytes).ok());
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while !body.is_end_stream() {
        // A buffer that grows doubles.
        let grown = (first.len() + all.len() + USUAL_FRAME).next_power_of_two();
        let wanted = whole.map_or(grown, |whole| whole.min(grown));
        let Some(frame) = next(&mut body, wanted).await else {
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
            let needed = first.len() + data.len();
            if all.capacity() - all.len() < needed {
                let left = whole.unwrap_or_default().saturating_sub(all.len());
                all.reserve(left.min(all.len()).max(needed));
            }
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
