//! Reading a body to its end.

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming};
use v6kit_http1::Limit;
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
    max_body: Limit,
    mut next: impl AsyncFnMut(&mut Incoming, usize) -> Option<Result<Frame<Bytes>, hyper::Error>>,
) -> Result<Bytes, BodyError> {
    let limit = max_body.bytes();
    let is_first = matches!(max_body, Limit::First(_));
    if !is_first && body.size_hint().lower() > limit {
        return Err(too_large(limit));
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
        let Ok(mut data) = frame.map_err(BodyError::Broken)?.into_data() else {
            continue;
        };
        let left = limit - (first.len() + all.len()) as u64;
        let is_cut = is_first && data.len() as u64 >= left;
        match usize::try_from(left) {
            Ok(left) if is_cut => data.truncate(left),
            Ok(left) if data.len() > left => return Err(too_large(limit)),
            Ok(_) | Err(_) => {}
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
        if is_cut {
            break;
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
