//! Lines, written in the format that was asked for.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, IsTerminal, Write},
    path::{Path, PathBuf},
};

use super::{Ended, Failure, Format, cannot, input::Input};
use crate::evidence::{Entry, Line};

const HEADER: &[u8] = b"at,scenario,lease,request,unit,fault,asked_for,change,shadow\n";

/// Where selected lines go.
pub(super) struct Export {
    encoder: Encoder,
    target: Target,
}

enum Encoder {
    Jsonl(Box<dyn Write + Send>),
    Csv(Box<dyn Write + Send>),
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::Parquet>),
}

/// Where the bytes go, in words, and what is still to do with them.
enum Target {
    Stdout,
    /// Written as it comes: a pipe, a device.
    Direct(PathBuf),
    /// Written beside its place, and put there when it is whole.
    Whole {
        part: PathBuf,
        path: PathBuf,
    },
}

impl Export {
    /// Opens the output.
    pub(super) fn open(format: Format, output: Option<&Path>, input: &Input) -> Result<Export, Failure> {
        if format == Format::Parquet {
            if cfg!(not(feature = "parquet")) {
                return Err(Failure::new("this canard was built without Parquet")
                    .help("install it with `cargo install canard --features parquet`, or use --format csv"));
            }
            if output.is_none() && io::stdout().is_terminal() {
                let failure = Failure::new("Parquet is no text for a terminal");
                return Err(failure.help("name a file: --output polluted.parquet"));
            }
        }
        let (target, out) = open(output, input)?;
        let out = Box::new(BufWriter::with_capacity(64 << 10, out));
        let mut export = Export { target, encoder: encoder(format, out)? };
        if let Encoder::Csv(out) = &mut export.encoder {
            let written = out.write_all(HEADER);
            written.map_err(|error| export.target.cannot(&error))?;
        }
        Ok(export)
    }

    /// Writes a line.
    pub(super) fn line(&mut self, entry: &Entry<'_>) -> Result<(), Ended> {
        let written = match &mut self.encoder {
            Encoder::Jsonl(out) => out.write_all(entry.text.as_bytes()).and_then(|()| out.write_all(b"\n")),
            Encoder::Csv(out) => out.write_all(csv(&entry.line).as_bytes()),
            #[cfg(feature = "parquet")]
            Encoder::Parquet(rows) => rows.line(&entry.line),
        };
        written.map_err(|error| self.target.ended(&error))
    }

    /// Writes what is left, and puts a file in its place.
    pub(super) fn close(&mut self) -> Result<(), Ended> {
        let written = match &mut self.encoder {
            Encoder::Jsonl(out) | Encoder::Csv(out) => out.flush(),
            #[cfg(feature = "parquet")]
            Encoder::Parquet(rows) => rows.close(),
        };
        let placed = written.and_then(|()| match &self.target {
            Target::Whole { part, path } => fs::rename(part, path),
            _ => Ok(()),
        });
        placed.map_err(|error| self.target.ended(&error))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // Only there if it was not put in its place.
        if let Target::Whole { part, .. } = &self.target {
            let _ = fs::remove_file(part);
        }
    }
}

impl Target {
    fn cannot(&self, error: &io::Error) -> Failure {
        match self {
            Target::Stdout => Failure::new(format!("standard output can't be written: {error}")),
            Target::Direct(path) | Target::Whole { path, .. } => cannot("written", path, error),
        }
    }

    fn ended(&self, error: &io::Error) -> Ended {
        match self {
            Target::Stdout if error.kind() == ErrorKind::BrokenPipe => Ended::ReaderGone,
            _ => Ended::Failed(self.cannot(error)),
        }
    }
}

fn open(output: Option<&Path>, input: &Input) -> Result<(Target, Box<dyn Write + Send>), Failure> {
    let Some(path) = output else { return Ok((Target::Stdout, Box::new(io::stdout()))) };
    if input.contains(path) {
        let failure = Failure::new(format!("`{}` is a file that is read", path.display()));
        return Err(failure.help("a ledger is only appended to; write what is selected to another file"));
    }
    if path.exists() && !path.is_file() {
        let file = fs::OpenOptions::new().write(true).open(path);
        let file = file.map_err(|error| cannot("written", path, &error))?;
        return Ok((Target::Direct(path.to_owned()), Box::new(file)));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part"));
    let file = File::create(&part).map_err(|error| cannot("written", path, &error))?;
    Ok((Target::Whole { part, path: path.to_owned() }, Box::new(file)))
}

fn encoder(format: Format, out: Box<dyn Write + Send>) -> Result<Encoder, Failure> {
    Ok(match format {
        Format::Jsonl => Encoder::Jsonl(out),
        Format::Csv => Encoder::Csv(out),
        #[cfg(feature = "parquet")]
        Format::Parquet => Encoder::Parquet(Box::new(super::parquet::Parquet::new(out)?)),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => unreachable!("refused before"),
    })
}

/// A record, as RFC 4180 has it.
fn csv(line: &Line) -> String {
    let at = micros(line).and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    let at = at.map_or(String::new(), |at| format!("{at:.6}"));
    let [scenario, request, fault, change] =
        [&line.scenario, line.request.as_deref().unwrap_or_default(), &line.fault, &line.change].map(quoted);
    let Line { lease, unit, asked_for, shadow, .. } = line;
    format!("{at},{scenario},{lease},{request},{unit:016x},{fault},{asked_for},{change},{shadow}\n")
}

/// When, in whole microseconds since 1970.
pub(super) fn micros(line: &Line) -> Option<i64> {
    let micros = (line.at.unix_s() * 1e6).round();
    (micros.is_finite() && micros.abs() < 9e18).then_some(micros as i64)
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, draw::UnitHash};

    #[test]
    fn a_record_is_quoted_where_it_has_to_be() {
        let line = Line {
            at: Timestamp::from_unix_s(1_795_442_400.25),
            scenario: "a \"b\", c".into(),
            lease: 7,
            request: None,
            unit: UnitHash::from_u64(10),
            fault: "bad/error".into(),
            asked_for: true,
            shadow: false,
            change: "status\n503".into(),
        };
        let expected = "2026-11-23T14:00:00.250000Z,\"a \"\"b\"\", c\",7,,000000000000000a,bad/error,true,\"status\n503\",false\n";
        assert_eq!(csv(&line), expected);
    }
}
