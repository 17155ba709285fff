//! Ordinals of the ledger: what is read is written the same, and holds what it counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_model::Ordinals;

fuzz_target!(|bytes: &[u8]| {
    let Ok(ordinals) = Ordinals::decode(bytes) else {
        return;
    };
    let (mut end, mut count) = (None, 0);
    for range in ordinals.ranges() {
        assert!(range.start < range.end && end.is_none_or(|end| end < range.start), "{range:?}");
        assert!(ordinals.contains(range.start) && !ordinals.contains(range.end));
        end = Some(range.end);
        count += range.end - range.start;
    }
    assert_eq!(ordinals.count(), count);
    assert_eq!(Ordinals::decode(&ordinals.encode()).as_ref(), Ok(&ordinals));
    let hull = ordinals.hull().unwrap_or(0..0);
    let others = ordinals.complement(hull.clone());
    assert!(!others.overlaps(&ordinals));
    assert_eq!(others.count() + count, hull.end - hull.start);
    let mut all = others;
    all.add(&ordinals);
    assert_eq!(all, Ordinals::from_range(hull));
});
