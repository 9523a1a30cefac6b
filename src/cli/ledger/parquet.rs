//! Lines as an Apache Parquet file.
//!
//! Written with the low-level writer of the `parquet` crate: the columns are few and fixed, and Arrow would
//! bring more code than the rest of this command.

use std::{
    io::{self, Write},
    sync::Arc,
};

use parquet::{
    basic::Compression,
    data_type::{BoolType, ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::{Failure, export::micros};
use crate::evidence::Line;

/// Lines of a row group, which wait in memory.
const GROUP: usize = 128 << 10;

const SCHEMA: &str = "message ledger {
    OPTIONAL INT64 at (TIMESTAMP(MICROS, true));
    REQUIRED BYTE_ARRAY scenario (STRING);
    REQUIRED INT64 lease;
    OPTIONAL BYTE_ARRAY request (STRING);
    REQUIRED BYTE_ARRAY unit (STRING);
    REQUIRED BYTE_ARRAY fault (STRING);
    REQUIRED BOOLEAN asked_for;
    REQUIRED BYTE_ARRAY change (STRING);
    REQUIRED BOOLEAN shadow;
}";

/// A Parquet file that is being written.
pub(super) struct Parquet {
    file: Option<SerializedFileWriter<Box<dyn Write + Send>>>,
    rows: Vec<Line>,
}

impl Parquet {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Result<Parquet, Failure> {
        let wrong = |error: ParquetError| Failure::new(format!("Parquet can't be written: {error}"));
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(wrong)?);
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let file = SerializedFileWriter::new(out, schema, properties).map_err(wrong)?;
        Ok(Parquet { file: Some(file), rows: Vec::new() })
    }

    pub(super) fn line(&mut self, line: &Line) -> io::Result<()> {
        self.rows.push(line.clone());
        if self.rows.len() < GROUP { Ok(()) } else { self.group().map_err(io_error) }
    }

    /// Writes the last lines and the footer.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.group().map_err(io_error)?;
        let Some(file) = self.file.take() else { return Ok(()) };
        file.into_inner().map_err(io_error)?.flush()
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let Some(file) = self.file.as_mut().filter(|_| !self.rows.is_empty()) else { return Ok(()) };
        let rows = std::mem::take(&mut self.rows);
        let mut group = file.next_row_group()?;
        let mut column = 0;
        while let Some(mut writer) = group.next_column()? {
            let texts = |of: fn(&Line) -> &str| -> Vec<ByteArray> {
                rows.iter().map(|row| ByteArray::from(of(row))).collect()
            };
            let mut strings = |values: &[ByteArray], levels: Option<&[i16]>| {
                writer.typed::<ByteArrayType>().write_batch(values, levels, None)
            };
            match column {
                0 => {
                    let times: Vec<Option<i64>> = rows.iter().map(micros).collect();
                    let known: Vec<i64> = times.iter().flatten().copied().collect();
                    writer.typed::<Int64Type>().write_batch(&known, Some(&levels(&times)), None)?
                }
                1 => strings(&texts(|row| &row.scenario), None)?,
                2 => {
                    let leases: Vec<i64> = rows.iter().map(|row| row.lease as i64).collect();
                    writer.typed::<Int64Type>().write_batch(&leases, None, None)?
                }
                3 => {
                    let ids: Vec<Option<&str>> = rows.iter().map(|row| row.request.as_deref()).collect();
                    let known: Vec<ByteArray> = ids.iter().flatten().map(|id| ByteArray::from(*id)).collect();
                    strings(&known, Some(&levels(&ids)))?
                }
                4 => {
                    let hash = |row: &Line| ByteArray::from(format!("{:016x}", row.unit).into_bytes());
                    strings(&rows.iter().map(hash).collect::<Vec<_>>(), None)?
                }
                5 => strings(&texts(|row| &row.fault), None)?,
                6 => {
                    let asked: Vec<bool> = rows.iter().map(|row| row.asked_for).collect();
                    writer.typed::<BoolType>().write_batch(&asked, None, None)?
                }
                7 => strings(&texts(|row| &row.change), None)?,
                _ => {
                    let shadows: Vec<bool> = rows.iter().map(|row| row.shadow).collect();
                    writer.typed::<BoolType>().write_batch(&shadows, None, None)?
                }
            };
            writer.close()?;
            column += 1;
        }
        group.close().map(drop)
    }
}

/// One where there is a value, zero where there is none.
fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|value| i16::from(value.is_some())).collect()
}

/// The error of the file below, if it is one: a reader that has gone is told by its kind.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };

    use super::*;
    use crate::{clock::Timestamp, draw::UnitHash};

    #[test]
    fn what_is_written_is_read_back_over_several_row_groups() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut file = Parquet::new(Box::new(path.reopen().unwrap())).unwrap();
        let line = |n: usize| Line {
            at: Timestamp::from_unix_s(1_795_442_400.25 + n as f64),
            scenario: "credit".into(),
            lease: 7,
            request: (n % 2 == 0).then(|| format!("r{n}")),
            unit: UnitHash::from_u64(n as u64),
            fault: "bad/error".into(),
            asked_for: n % 3 == 0,
            shadow: n % 5 == 0,
            change: "status 503".into(),
        };
        let count = GROUP + 10;
        (0..count).for_each(|n| file.line(&line(n)).unwrap());
        file.close().unwrap();
        let reader = SerializedFileReader::new(path.reopen().unwrap()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let mut read = 0;
        for (n, row) in reader.get_row_iter(None).unwrap().enumerate() {
            let row = row.unwrap();
            let fields: Vec<Field> = row.get_column_iter().map(|(_, field)| field.clone()).collect();
            let text = |text: &str| Field::Str(text.to_owned());
            let expected = [
                Field::TimestampMicros(1_795_442_400_250_000 + n as i64 * 1_000_000),
                text("credit"),
                Field::Long(7),
                if n % 2 == 0 { text(&format!("r{n}")) } else { Field::Null },
                text(&format!("{n:016x}")),
                text("bad/error"),
                Field::Bool(n % 3 == 0),
                text("status 503"),
                Field::Bool(n % 5 == 0),
            ];
            assert_eq!(fields, expected, "row {n}");
            read += 1;
        }
        assert_eq!(read, count);
    }
}
