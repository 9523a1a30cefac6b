//! Which lines are meant.

use clap::Args;

use super::Failure;
use crate::{
    clock::{self, Timestamp},
    draw::UnitHash,
    evidence::Line,
    unit::Span,
};

/// What the command line says of the lines that are meant.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArgs {
    /// From this time on: 2026-11-23T14:00:00Z, 2026-11-23 (UTC), seconds since 1970, or 15m (ago)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Before this time, written likewise
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Of this scenario; repeatable, as are those that follow
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Of this fault (`mislabel`), or of this injection (`confused/mislabel`)
    #[arg(long, value_name = "NAME")]
    fault: Vec<String>,
    /// Of this unit: its id, which is hashed, or the hash (16 hexadecimal digits)
    #[arg(long, value_name = "UNIT")]
    unit: Vec<String>,
    /// Of the request with this id
    #[arg(long, value_name = "ID")]
    request: Vec<String>,
    /// Under the lease with this number
    #[arg(long, value_name = "N")]
    lease: Vec<u64>,
    /// Only those that a request asked for by `x-canard-fault`, or only those that none did
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    asked_for: Option<bool>,
    /// Only those of shadows (`release: shadow`), or only those that callers saw
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    shadow: Option<bool>,
}

/// Selects lines. What was asked for of one kind are alternatives; all kinds must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    args: FilterArgs,
    units: Vec<UnitHash>,
    requests: Vec<String>,
}

impl FilterArgs {
    /// The filter.
    ///
    /// # Errors
    /// If no line can pass it.
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            let failure = Failure::new("--since is not before --until: no line can be between them");
            return Err(failure.help("a span such as 15m is counted back from now: --since 2h --until 1h"));
        }
        let units = self.unit.iter().flat_map(|unit| hashes(unit)).collect();
        let short = |id: &String| Line::kept(id).to_owned();
        let requests = self.request.iter().map(short).collect();
        Ok(Filter { args: self.clone(), units, requests })
    }
}

impl Filter {
    pub(super) fn selects(&self, line: &Line) -> bool {
        let args = &self.args;
        args.since.is_none_or(|since| line.at >= since)
            && args.until.is_none_or(|until| line.at < until)
            && any(&args.scenario, |name| *name == line.scenario)
            && any(&args.fault, |name| *name == line.fault || name == line.fault_name())
            && any(&self.units, |unit| *unit == line.unit)
            && any(&self.requests, |id| Some(id) == line.request.as_ref())
            && any(&args.lease, |lease| *lease == line.lease)
            && args.asked_for.is_none_or(|asked| asked == line.asked_for)
            && args.shadow.is_none_or(|shadow| shadow == line.shadow)
    }
}

/// Nothing asked for is everything.
fn any<T>(asked: &[T], holds: impl Fn(&T) -> bool) -> bool {
    asked.is_empty() || asked.iter().any(holds)
}

/// The hash of an id; and, if the text can be a hash itself, that too.
fn hashes(unit: &str) -> Vec<UnitHash> {
    let digits = unit.len() == 16 && unit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let itself = u64::from_str_radix(unit, 16).ok().filter(|_| digits).map(UnitHash::from_u64);
    std::iter::once(UnitHash::of(unit.as_bytes())).chain(itself).collect()
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it takes yes or no".into()),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    let of = |time: jiff::Timestamp| Timestamp::from_unix_s(time.as_microsecond() as f64 / 1e6);
    let utc = |text: &str| -> Result<jiff::Timestamp, jiff::Error> {
        Ok(text.parse::<jiff::civil::DateTime>()?.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp())
    };
    if let Ok(time) = text.parse::<jiff::Timestamp>().or_else(|_| utc(text)) {
        return Ok(of(time));
    }
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()) {
        return Ok(Timestamp::from_unix_s(seconds));
    }
    match text.parse::<Span>() {
        Ok(ago) => Ok(clock::now().plus_s(-ago.as_secs_f64())),
        Err(_) => Err(
            "write it like 2026-11-23T14:00:00Z, 2026-11-23, 1795442400 (seconds since 1970), or 15m (ago)"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Given {
        #[command(flatten)]
        filter: FilterArgs,
    }

    fn filter(args: &[&str]) -> Result<Filter, String> {
        let given = Given::try_parse_from([&["ledger"], args].concat()).map_err(|error| error.to_string())?;
        given.filter.filter().map_err(|failure| failure.to_string())
    }

    fn line() -> Line {
        Line {
            at: Timestamp::from_unix_s(1_000.0),
            scenario: "credit".into(),
            lease: 3,
            request: Some("r1".into()),
            unit: UnitHash::of(b"user-17"),
            fault: "confused/mislabel#2".into(),
            asked_for: false,
            shadow: false,
            change: "1 prediction".into(),
        }
    }

    #[test]
    fn a_line_passes_what_it_is_and_nothing_else() {
        let hash = format!("{:016x}", UnitHash::of(b"user-17"));
        let long = "x".repeat(200);
        for (args, passes) in [
            (&[][..], true),
            (&["--since", "1000", "--until", "1000.5"], true),
            (&["--since", "1970-01-01T00:16:40Z"], true),
            (&["--since", "1970-01-01"], true),
            (&["--until", "1000"], false),
            (&["--since", "15m"], false),
            (&["--scenario", "credit"], true),
            (&["--scenario", "cred"], false),
            (&["--fault", "mislabel"], true),
            (&["--fault", "confused/mislabel#2"], true),
            (&["--fault", "confused/mislabel"], false),
            (&["--fault", "error", "--fault", "mislabel"], true),
            (&["--fault", "mislabel", "--lease", "4"], false),
            (&["--unit", "user-17"], true),
            (&["--unit", &hash], true),
            (&["--unit", &hash.to_uppercase()], true),
            (&["--unit", "user-18"], false),
            (&["--request", "r1"], true),
            (&["--request", &long], false),
            (&["--lease", "3"], true),
            (&["--asked-for", "no"], true),
            (&["--asked-for", "yes"], false),
            (&["--shadow", "no"], true),
            (&["--shadow", "yes"], false),
        ] {
            assert_eq!(filter(args).unwrap().selects(&line()), passes, "{args:?}");
        }
        let cut = Line { request: Some(long[..128].to_owned()), ..line() };
        assert!(filter(&["--request", &long]).unwrap().selects(&cut), "a ledger keeps 128 bytes");
    }

    #[test]
    fn an_id_that_looks_like_a_hash_is_both() {
        let id = "00000000deadbeef";
        for unit in [UnitHash::of(id.as_bytes()), UnitHash::from_u64(0xdead_beef)] {
            assert!(filter(&["--unit", id]).unwrap().selects(&Line { unit, ..line() }));
        }
    }

    #[test]
    fn what_no_line_can_pass_is_an_error() {
        assert!(filter(&["--since", "20", "--until", "10"]).unwrap_err().contains("not before"));
        assert!(filter(&["--since", "yesterday"]).unwrap_err().contains("2026-11-23T14:00:00Z"));
        assert!(filter(&["--asked-for", "maybe"]).unwrap_err().contains("yes or no"));
    }
}
