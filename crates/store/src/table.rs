//! Records as a table in Apache Parquet.

mod line;

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use parquet::basic::{Compression, Type, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::{Field, Row};
use parquet::schema::parser::parse_message_type;

use self::line::Line;
use crate::record::{RecordWriter, push_milliseconds, push_number, push_text};

/// One column per field of a record, where `source` and `fetched_at` stand for `from` and `at`, which are words of SQL;
/// files of earlier releases have these. `id`, `headers` and `timing`, a column that is there where it is asked for, hold
/// JSON. A body is in `body` when it is text, JSON as it came included, and in `body_binary` otherwise; `body_type` says
/// `json`, `text` or `binary`.
const SCHEMA: &str = "
        REQUIRED INT64 pos (INTEGER(64,false));
        OPTIONAL BYTE_ARRAY id (UTF8);
        REQUIRED BYTE_ARRAY url (UTF8);
        REQUIRED BYTE_ARRAY outcome (UTF8);
        OPTIONAL INT32 status (INTEGER(16,false));
        OPTIONAL BYTE_ARRAY source (UTF8);
        REQUIRED INT64 fetched_at (TIMESTAMP(MILLIS,true));
        REQUIRED DOUBLE ms;
        REQUIRED INT32 attempts (INTEGER(32,false));
        OPTIONAL BYTE_ARRAY final_url (UTF8);
        OPTIONAL BYTE_ARRAY error_kind (UTF8);
        OPTIONAL BYTE_ARRAY error_message (UTF8);
        OPTIONAL BYTE_ARRAY headers (UTF8);
        OPTIONAL BYTE_ARRAY body_type (UTF8);
        OPTIONAL BYTE_ARRAY body (UTF8);
        OPTIONAL BYTE_ARRAY body_binary;
";

/// The columns behind those of [`SCHEMA`].
const TIMING: &str = "OPTIONAL BYTE_ARRAY timing (UTF8);";

/// The columns of one file, in the order of the schema.
#[derive(Default)]
struct Columns {
    pos: Vec<i64>,
    id: Optional<ByteArray>,
    url: Vec<ByteArray>,
    outcome: Vec<ByteArray>,
    status: Optional<i32>,
    from: Optional<ByteArray>,
    at: Vec<i64>,
    ms: Vec<f64>,
    attempts: Vec<i32>,
    final_url: Optional<ByteArray>,
    error_kind: Optional<ByteArray>,
    error_message: Optional<ByteArray>,
    headers: Optional<ByteArray>,
    body_type: Optional<ByteArray>,
    body: Optional<ByteArray>,
    body_binary: Optional<ByteArray>,
    timing: Optional<ByteArray>,
}

/// A column with gaps: the values, and for every row 1 or, for a gap, 0.
#[derive(Default)]
struct Optional<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(value.is_some().into());
        self.values.extend(value);
    }
}

/// Writes `records`, which are lines of JSON, as a file.
pub(crate) fn encode(records: &[u8], level: i32, out: &mut Vec<u8>) -> io::Result<()> {
    let mut columns = Columns::default();
    for line in records
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        columns.push(&serde_json::from_slice(line)?)?;
    }
    columns.write(level, out).map_err(io::Error::other)
}

impl Columns {
    fn push(&mut self, line: &Line<'_>) -> io::Result<()> {
        let at: jiff::Timestamp = line.at.parse().map_err(io::Error::other)?;
        self.pos.push(line.pos as i64);
        self.id.push(line.id.map(|id| text(id.get())));
        self.url.push(text(&line.url));
        self.outcome.push(text(&line.outcome));
        self.status.push(line.status.map(i32::from));
        self.from.push(line.from.as_deref().map(text));
        self.at.push(at.as_millisecond());
        self.ms.push(line.ms);
        self.attempts.push(line.attempts as i32);
        self.final_url.push(line.final_url.as_deref().map(text));
        let error = line.error.as_ref();
        self.error_kind.push(error.map(|error| text(&error.kind)));
        self.error_message.push(error.map(|error| text(&error.message)));
        self.headers.push(line.headers.map(|headers| text(headers.get())));
        self.timing.push(line.timing.map(|timing| text(timing.get())));
        self.push_body(line)
    }

    fn push_body(&mut self, line: &Line<'_>) -> io::Result<()> {
        let (kind, body, binary) = match (line.body, &line.body_base64) {
            (Some(body), _) if body.get().starts_with('"') => {
                let string: String = serde_json::from_str(body.get())?;
                (Some("text"), Some(string.into_bytes().into()), None)
            }
            (Some(body), _) => (Some("json"), Some(text(body.get())), None),
            (None, Some(encoded)) => {
                let binary = BASE64.decode(encoded.as_bytes()).map_err(io::Error::other)?;
                (Some("binary"), None, Some(binary.into()))
            }
            (None, None) => (None, None, None),
        };
        self.body_type.push(kind.map(text));
        self.body.push(body);
        self.body_binary.push(binary);
        Ok(())
    }

    fn write(&self, level: i32, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        let has_timing = !self.timing.values.is_empty();
        let mut file = file_writer(level, has_timing, out)?;
        let mut rows = file.next_row_group()?;
        put::<Int64Type, _>(&mut rows, &self.pos, None)?;
        put_optional::<ByteArrayType, _>(&mut rows, &self.id)?;
        put::<ByteArrayType, _>(&mut rows, &self.url, None)?;
        put::<ByteArrayType, _>(&mut rows, &self.outcome, None)?;
        put_optional::<Int32Type, _>(&mut rows, &self.status)?;
        put_optional::<ByteArrayType, _>(&mut rows, &self.from)?;
        put::<Int64Type, _>(&mut rows, &self.at, None)?;
        put::<DoubleType, _>(&mut rows, &self.ms, None)?;
        put::<Int32Type, _>(&mut rows, &self.attempts, None)?;
        for column in [
            &self.final_url,
            &self.error_kind,
            &self.error_message,
            &self.headers,
            &self.body_type,
            &self.body,
            &self.body_binary,
        ] {
            put_optional::<ByteArrayType, _>(&mut rows, column)?;
        }
        if has_timing {
            put_optional::<ByteArrayType, _>(&mut rows, &self.timing)?;
        }
        rows.close()?;
        file.close().map(drop)
    }
}

fn file_writer<W: io::Write + Send>(
    level: i32,
    has_timing: bool,
    out: W,
) -> Result<SerializedFileWriter<W>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level.clamp(1, 22))?))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("v6kit version ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let timing = if has_timing { TIMING } else { "" };
    let schema = Arc::new(parse_message_type(&format!(
        "message record {{ {SCHEMA} {timing} }}"
    ))?);
    SerializedFileWriter::new(out, schema, Arc::new(properties))
}

/// Writes the rows of `files` to one file with one row group, in their order.
pub(crate) fn merge(files: Vec<Bytes>, level: i32, out: impl io::Write + Send) -> io::Result<()> {
    let invalid = |error: ParquetError| io::Error::new(io::ErrorKind::InvalidData, error);
    let readers: Result<Vec<_>, _> = files.into_iter().map(SerializedFileReader::new).collect();
    let readers = readers.map_err(invalid)?;
    let written = || -> Result<(), ParquetError> {
        let columns: Vec<_> = file_columns(&readers)?;
        let mut file = file_writer(level, has_timing(&readers), out)?;
        let mut rows = file.next_row_group()?;
        for (index, kind) in columns.into_iter().enumerate() {
            match kind {
                Type::INT32 => copy_column::<Int32Type, _>(&readers, index, &mut rows)?,
                Type::INT64 => copy_column::<Int64Type, _>(&readers, index, &mut rows)?,
                Type::DOUBLE => copy_column::<DoubleType, _>(&readers, index, &mut rows)?,
                Type::BYTE_ARRAY => copy_column::<ByteArrayType, _>(&readers, index, &mut rows)?,
                other => return Err(ParquetError::General(format!("a column of {other}"))),
            }
        }
        rows.close()?;
        file.close().map(drop)
    };
    written().map_err(|error| match error {
        // What the disk said.
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    })
}

fn has_timing(readers: &[SerializedFileReader<Bytes>]) -> bool {
    let columns = |reader: &SerializedFileReader<Bytes>| {
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        schema.columns().iter().any(|column| column.name() == "timing")
    };
    readers.first().is_some_and(columns)
}

/// The types of the columns, which all `readers` have in common.
fn file_columns(readers: &[SerializedFileReader<Bytes>]) -> Result<Vec<Type>, ParquetError> {
    let types = |reader: &SerializedFileReader<Bytes>| -> Vec<Type> {
        let schema = reader.metadata().file_metadata().schema_descr();
        schema
            .columns()
            .iter()
            .map(|column| column.physical_type())
            .collect()
    };
    let mut all = readers.iter().map(types);
    let first = all.next().unwrap_or_default();
    if all.any(|other| other != first) {
        return Err(ParquetError::General("files with different columns".to_owned()));
    }
    Ok(first)
}

/// Copies a column, some rows at a time.
fn copy_column<T: DataType, W: io::Write + Send>(
    readers: &[SerializedFileReader<Bytes>],
    index: usize,
    rows: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<(), ParquetError> {
    /// Rows that are held at a time.
    const BATCH: usize = 256;
    let Some(mut column) = rows.next_column()? else {
        return Err(ParquetError::General(
            "more columns than the schema has".to_owned(),
        ));
    };
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for reader in readers {
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            let is_optional = group.metadata().column(index).column_descr().max_def_level() > 0;
            let mut from = get_typed_column_reader::<T>(group.get_column_reader(index)?);
            loop {
                values.clear();
                levels.clear();
                let (read, ..) =
                    from.read_records(BATCH, is_optional.then_some(&mut levels), None, &mut values)?;
                if read == 0 {
                    break;
                }
                let levels = is_optional.then_some(&levels[..]);
                column.typed::<T>().write_batch(&values, levels, None)?;
            }
        }
    }
    column.close()
}

fn text(text: &str) -> ByteArray {
    text.into()
}

fn put<T: DataType, W: io::Write + Send>(
    rows: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = rows.next_column()? else {
        return Err(ParquetError::General(
            "more columns than the schema has".to_owned(),
        ));
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

fn put_optional<T: DataType, W: io::Write + Send>(
    rows: &mut SerializedRowGroupWriter<'_, W>,
    column: &Optional<T::T>,
) -> Result<(), ParquetError> {
    put::<T, W>(rows, &column.values, Some(&column.levels))
}

/// Gives every record of a file as a line of JSON.
pub(crate) fn for_each_line<E: From<io::Error>>(
    file: Bytes,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |error: ParquetError| E::from(io::Error::new(io::ErrorKind::InvalidData, error));
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let mut times = RecordWriter::default();
    let mut line = Vec::new();
    for row in reader.get_row_iter(None).map_err(failed)? {
        line.clear();
        push_row(&row.map_err(failed)?, &mut times, &mut line)?;
        take(&line)?;
    }
    Ok(())
}

fn push_row(row: &Row, times: &mut RecordWriter, out: &mut Vec<u8>) -> io::Result<()> {
    let mut body_type = "";
    for (name, field) in row.get_column_iter() {
        match (name.as_str(), field) {
            (_, Field::Null) => {}
            ("pos", Field::ULong(position)) => {
                out.extend_from_slice(b"{\"pos\":");
                push_number(out, *position);
            }
            ("url" | "outcome" | "final_url", Field::Str(text)) => push_string(out, name, text),
            ("source" | "from", Field::Str(text)) => push_string(out, "from", text),
            ("status", Field::UShort(status)) => push_raw(out, name, &status.to_string()),
            ("fetched_at" | "at", Field::TimestampMillis(at)) => {
                out.extend_from_slice(b",\"at\":\"");
                let since = Duration::from_millis(u64::try_from(*at).unwrap_or(0));
                times.push_time(out, UNIX_EPOCH + since);
                out.push(b'"');
            }
            ("ms", Field::Double(ms)) => {
                out.extend_from_slice(b",\"ms\":");
                let took = Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
                push_milliseconds(out, took);
            }
            ("attempts", Field::UInt(attempts)) => push_raw(out, name, &attempts.to_string()),
            ("error_kind", Field::Str(kind)) => {
                out.extend_from_slice(b",\"error\":{\"kind\":");
                push_text(out, kind);
            }
            ("error_message", Field::Str(message)) => {
                push_string(out, "message", message);
                out.push(b'}');
            }
            ("id" | "headers" | "timing", Field::Str(json)) => push_raw(out, name, json),
            ("body_type", Field::Str(kind)) => {
                body_type = if kind == "json" { "json" } else { "text" };
            }
            ("body", Field::Str(body)) if body_type == "json" => push_raw(out, name, body),
            ("body", Field::Str(body)) => push_string(out, name, body),
            ("body_binary", Field::Bytes(body)) => {
                push_string(out, "body_base64", &BASE64.encode(body.data()));
            }
            (name, field) => {
                let what = format!("{field} in the column {name}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn push_string(out: &mut Vec<u8>, name: &str, text: &str) {
    push_raw(out, name, "");
    push_text(out, text);
}

fn push_raw(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut text = String::with_capacity(name.len() + value.len() + 4);
    // Writing to a String does not fail.
    let _ = write!(text, ",\"{name}\":{value}");
    out.extend_from_slice(text.as_bytes());
}
