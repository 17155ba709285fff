//! Stands where tables are in a build without the feature `parquet`. Whoever comes here has passed by
//! [`Format::is_built_in`](crate::Format::is_built_in).

use std::io;

use bytes::Bytes;

pub(crate) fn encode(_records: &[u8], _level: i32, _out: &mut Vec<u8>) -> io::Result<()> {
    Err(absent())
}

pub(crate) fn merge(_files: Vec<Bytes>, _level: i32, _out: impl io::Write + Send) -> io::Result<()> {
    Err(absent())
}

pub(crate) fn for_each_line<E: From<io::Error>>(
    _file: Bytes,
    _take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    Err(absent().into())
}

fn absent() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this build has no Parquet")
}
