//! Storing without fetching, for the benchmark of what storing costs.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use v6kit_base::cpu_time;

use crate::description::Description;
use crate::disk::{Disk, KeepFree};
use crate::frame::{Fill, OpenFrame, Pushed};
use crate::job_directory::JobDirectory;
use crate::ledger::{Extent, HeldLeases, Leased, Ledger};
use crate::record::{Payload, Record, Sent, Timing, Way};
use crate::storage::{Compression, Storage};
use crate::writer::{Archive, StoreError};

/// What storing came to.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// Bytes of the records before they were encoded.
    pub recorded: u64,
    /// Bytes on the disk.
    pub stored: u64,
}

/// Stores an item for each of `bodies` in `directory`, as one shard does with frames of `frame_bytes`.
///
/// # Errors
/// [`StoreError`].
pub fn store(
    directory: &Path,
    storage: &Storage,
    compression: Compression,
    frame_bytes: usize,
    bodies: &[Vec<u8>],
) -> Result<Stored, StoreError> {
    let description: Description = serde_json::from_value(serde_json::json!({
        "format": storage.format.as_str(),
    }))
    .expect("an object of strings");
    let count = bodies.len() as u64;
    let extent = Extent {
        items: count,
        visited: count,
    };
    let JobDirectory { ledger, segments } = JobDirectory::open(directory, &description, extent)?;
    let leases = HeldLeases::default();
    if let Leased::Lease(lease) = ledger.lease(count)? {
        leases.add(lease);
    }
    let disk = Disk::new(segments.clone(), KeepFree::Bytes(1), 0);
    let mut archive = Archive::new(ledger, segments, leases, disk, storage, compression);
    let open = OpenFrame::new(storage, frame_bytes, 7);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let came = headers.clone().into();
    let mut url = String::new();
    let mut sum = Stored {
        cpu: Duration::ZERO,
        recorded: 0,
        stored: 0,
    };
    let before = cpu_time();
    for (ordinal, body) in (0..).zip(bodies) {
        url.clear();
        url.push_str("https://api.example.org/items/");
        url.push_str(itoa::Buffer::new().format(ordinal + 1));
        let Pushed { fill, bytes, .. } = open.push(
            ordinal,
            &Record {
                position: ordinal,
                id: None,
                url: &url,
                status: Some(StatusCode::OK),
                // Ten requests leave from each address.
                from: Some(
                    (0x2001_0db8_0006 << 80 | u128::from(ordinal / 10).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                        .into(),
                ),
                at: UNIX_EPOCH + Duration::from_micros(1_767_225_600_000_000 + ordinal * 50),
                took: Duration::from_micros(900 + ordinal * 7919 % 5000),
                attempts: 1,
                timing: Timing::default(),
                final_url: None,
                way: Way::default(),
                sent: Some(Sent {
                    method: &Method::GET,
                    path: &url["https://api.example.org".len()..],
                    host: b"api.example.org",
                    headers: &headers,
                    body: b"",
                }),
                answer: Some(Payload {
                    headers: &came,
                    body,
                    portable: None,
                }),
                fault: None,
            },
        );
        sum.recorded += bytes;
        if fill == Fill::Full || ordinal + 1 == count {
            let mut frame = open.take();
            sum.stored += archive.commit(&mut frame)?.bytes;
            open.recycle(frame);
        }
    }
    sum.cpu = cpu_time().saturating_sub(before);
    Ok(sum)
}
